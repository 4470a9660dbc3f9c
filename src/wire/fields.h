// capsem.proto's field numbers for the structs of messages.h: one row a field, from which codec.cc
// derives encoder and decoder.
#pragma once

#include <cstdint>
#include <tuple>

#include "wire/messages.h"

namespace capsem::wire {

template <class Message, class Value>
struct Field {
  std::uint32_t number;
  Value Message::* member;
};

template <class Message>
inline constexpr std::tuple<> kFields = {};

template <>
inline constexpr auto kFields<BootStep> = std::tuple(
    Field{1, &BootStep::name}, Field{2, &BootStep::start_us}, Field{3, &BootStep::duration_us});

template <>
inline constexpr auto kFields<DeployedEntry> =
    std::tuple(Field{1, &DeployedEntry::name}, Field{2, &DeployedEntry::origin},
               Field{3, &DeployedEntry::sha256});

template <>
inline constexpr auto kFields<Hello> = std::tuple(
    Field{1, &Hello::protocol}, Field{2, &Hello::steps}, Field{3, &Hello::entries},
    Field{4, &Hello::kernel_release}, Field{5, &Hello::uptime_us}, Field{6, &Hello::net_token});

template <>
inline constexpr auto kFields<Heartbeat> = std::tuple(Field{1, &Heartbeat::uptime_us});

template <>
inline constexpr auto kFields<Failure> = std::tuple(Field{1, &Failure::text});

template <>
inline constexpr auto kFields<ServiceEvent> =
    std::tuple(Field{1, &ServiceEvent::name}, Field{2, &ServiceEvent::text});

template <>
inline constexpr auto kFields<Configuration> =
    std::tuple(Field{1, &Configuration::hostname}, Field{2, &Configuration::authority});

template <>
inline constexpr auto kFields<Shutdown> =
    std::tuple(Field{1, &Shutdown::action}, Field{2, &Shutdown::grace_ms});

template <>
inline constexpr auto kFields<LifecycleRequest> =
    std::tuple(Field{1, &LifecycleRequest::action}, Field{2, &LifecycleRequest::delay_ms},
               Field{3, &LifecycleRequest::grace_ms}, Field{4, &LifecycleRequest::message});

template <>
inline constexpr auto kFields<LifecycleAnswer> =
    std::tuple(Field{1, &LifecycleAnswer::accepted}, Field{2, &LifecycleAnswer::text});

template <>
inline constexpr auto kFields<NetOpen> =
    std::tuple(Field{1, &NetOpen::token}, Field{2, &NetOpen::address}, Field{3, &NetOpen::port},
               Field{4, &NetOpen::pid}, Field{5, &NetOpen::uid}, Field{6, &NetOpen::executable});

template <>
inline constexpr auto kFields<DnsOpen> = std::tuple(Field{1, &DnsOpen::token});

template <>
inline constexpr auto kFields<DnsQuery> =
    std::tuple(Field{1, &DnsQuery::id}, Field{2, &DnsQuery::message}, Field{3, &DnsQuery::stream});

template <>
inline constexpr auto kFields<DnsAnswer> =
    std::tuple(Field{1, &DnsAnswer::id}, Field{2, &DnsAnswer::message});

template <>
inline constexpr auto kFields<TerminalSize> =
    std::tuple(Field{1, &TerminalSize::rows}, Field{2, &TerminalSize::columns},
               Field{3, &TerminalSize::x_pixels}, Field{4, &TerminalSize::y_pixels});

template <>
inline constexpr auto kFields<SessionStart> =
    std::tuple(Field{1, &SessionStart::protocol}, Field{2, &SessionStart::command_line},
               Field{3, &SessionStart::argv}, Field{4, &SessionStart::environment},
               Field{5, &SessionStart::directory}, Field{6, &SessionStart::terminal},
               Field{7, &SessionStart::privileged}, Field{8, &SessionStart::id},
               Field{9, &SessionStart::outlive_ms}, Field{10, &SessionStart::user},
               Field{11, &SessionStart::detachable});

template <>
inline constexpr auto kFields<SessionResume> =
    std::tuple(Field{1, &SessionResume::protocol}, Field{2, &SessionResume::id},
               Field{3, &SessionResume::received}, Field{4, &SessionResume::attachment});

template <>
inline constexpr auto kFields<SessionAttach> =
    std::tuple(Field{1, &SessionAttach::protocol}, Field{2, &SessionAttach::id},
               Field{3, &SessionAttach::terminal});

template <>
inline constexpr auto kFields<Attached> =
    std::tuple(Field{1, &Attached::attachment}, Field{2, &Attached::unread_bytes});

template <>
inline constexpr auto kFields<SessionList> = std::tuple(Field{1, &SessionList::protocol});

template <>
inline constexpr auto kFields<RunningSession> =
    std::tuple(Field{1, &RunningSession::id}, Field{2, &RunningSession::pid},
               Field{3, &RunningSession::command}, Field{4, &RunningSession::age_s},
               Field{5, &RunningSession::attached});

template <>
inline constexpr auto kFields<Sessions> = std::tuple(Field{1, &Sessions::sessions});

template <>
inline constexpr auto kFields<Resumed> = std::tuple(Field{1, &Resumed::received});

template <>
inline constexpr auto kFields<Received> = std::tuple(Field{1, &Received::messages});

template <>
inline constexpr auto kFields<Stdin> = std::tuple(Field{1, &Stdin::data});

template <>
inline constexpr auto kFields<Resize> = std::tuple(Field{1, &Resize::size});

template <>
inline constexpr auto kFields<Signal> = std::tuple(Field{1, &Signal::number});

template <>
inline constexpr auto kFields<OutputClosed> = std::tuple(Field{1, &OutputClosed::stream});

template <>
inline constexpr auto kFields<Started> = std::tuple(Field{1, &Started::pid});

template <>
inline constexpr auto kFields<Stdout> = std::tuple(Field{1, &Stdout::data});

template <>
inline constexpr auto kFields<Stderr> = std::tuple(Field{1, &Stderr::data});

template <>
inline constexpr auto kFields<StdinCredit> = std::tuple(Field{1, &StdinCredit::bytes});

template <>
inline constexpr auto kFields<Exited> = std::tuple(
    Field{1, &Exited::code}, Field{2, &Exited::signal}, Field{3, &Exited::out_of_memory_kills});

template <>
inline constexpr auto kFields<Failed> =
    std::tuple(Field{1, &Failed::shell_code}, Field{2, &Failed::text});

template <>
inline constexpr auto kFields<VersionMismatch> =
    std::tuple(Field{1, &VersionMismatch::guest_protocol});

template <>
inline constexpr auto kFields<CopyIn> =
    std::tuple(Field{1, &CopyIn::protocol}, Field{2, &CopyIn::path}, Field{3, &CopyIn::name},
               Field{4, &CopyIn::keep_owners});

template <>
inline constexpr auto kFields<CopyOut> =
    std::tuple(Field{1, &CopyOut::protocol}, Field{2, &CopyOut::path}, Field{3, &CopyOut::name});

template <>
inline constexpr auto kFields<ConnectPort> =
    std::tuple(Field{1, &ConnectPort::protocol}, Field{2, &ConnectPort::number});

template <>
inline constexpr auto kFields<TransferReady> = std::tuple(Field{1, &TransferReady::bytes});

template <>
inline constexpr auto kFields<TransferDone> = std::tuple(Field{1, &TransferDone::left_out});

template <>
inline constexpr auto kFields<TransferFailed> = std::tuple(Field{1, &TransferFailed::text});

template <>
inline constexpr auto kFields<DeployStart> = std::tuple(Field{1, &DeployStart::protocol});

template <>
inline constexpr auto kFields<DeployState> =
    std::tuple(Field{1, &DeployState::entries}, Field{2, &DeployState::table});

template <>
inline constexpr auto kFields<DeploySet> =
    std::tuple(Field{1, &DeploySet::table}, Field{2, &DeploySet::sums});

template <>
inline constexpr auto kFields<DeployItem> =
    std::tuple(Field{1, &DeployItem::paths}, Field{2, &DeployItem::mode},
               Field{3, &DeployItem::directory}, Field{4, &DeployItem::bytes});

template <>
inline constexpr auto kFields<DeployData> = std::tuple(Field{1, &DeployData::data});

template <>
inline constexpr auto kFields<RestartedService> =
    std::tuple(Field{1, &RestartedService::name}, Field{2, &RestartedService::pid});

template <>
inline constexpr auto kFields<DeployDone> =
    std::tuple(Field{1, &DeployDone::restarted}, Field{2, &DeployDone::problems});

template <>
inline constexpr auto kFields<DeployFailed> = std::tuple(Field{1, &DeployFailed::text});

// The last value of each enum; a larger one from the wire is refused.
template <class Enum>
inline constexpr Enum kLast = {};
template <>
inline constexpr Origin kLast<Origin> = Origin::kRootfs;
template <>
inline constexpr ShutdownAction kLast<ShutdownAction> = ShutdownAction::kHalt;
template <>
inline constexpr LifecycleAction kLast<LifecycleAction> = LifecycleAction::kShow;
template <>
inline constexpr OutputStream kLast<OutputStream> = OutputStream::kStderr;

}  // namespace capsem::wire
