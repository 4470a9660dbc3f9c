// The shell scripts that mmdebstrap runs while it makes the tree; each gets the tree's directory as
// $1. What a line of theirs says behind kHookMark is for the user.
#pragma once

namespace capsem::assets {

inline constexpr const char* kHookMark = "capsem-hook:";

// Where the kernel's package lies in the tree, until it is handed out.
inline constexpr const char* kKernelInTree = "/capsem-kernel.deb";

// Before anything is fetched: the place for packages from the cache.
inline constexpr const char* kSetupHook = R"sh(
mkdir -p "$1/var/cache/apt/archives"
)sh";

// After Debian's base is unpacked, before any package is configured: everything is downloaded
// here, so that an unknown package or a registry that is away shows at once. The kernel is the
// package that $CAPSEM_KERNEL, which has no content of its own, depends on; it is not installed,
// since what it needs for that (an initramfs generator, a boot loader) has no use in the guest.
inline constexpr const char* kDownloadHook = R"sh(
set -eu
echo "capsem-hook: downloading packages" >&2
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
apt-get --yes -qq --download-only install $CAPSEM_PACKAGES
kernel=$(apt-cache depends --important "$CAPSEM_KERNEL" |
  sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
if [ -z "$kernel" ]; then
  echo "E: the package $CAPSEM_KERNEL names no kernel" >&2
  exit 1
fi
version=$(apt-cache show --no-all-versions "$kernel" | sed -n 's/^Version: //p' | sed 's/:/%3a/g')
cd "$1/var/cache/apt/archives"
apt-get -qq download "$kernel"
ln "${kernel}_${version}_$CAPSEM_ARCHITECTURE.deb" "$1/capsem-kernel.deb"
# What the cache still holds of earlier versions.
apt-get -qq autoclean
rm -rf partial lock
echo "capsem-hook: unpacking $(ls | wc -l) packages" >&2
)sh";

// After all packages are configured: the kernel's modules with modprobe's indices, and away with
// what differs from day to day or belongs to the machine that builds.
inline constexpr const char* kFinishHook = R"sh(
set -eu
cd "$1"
set -f
patterns=""
for pattern in $CAPSEM_MODULES; do
  patterns="$patterns ./lib/modules/*/kernel/$pattern"
done
dpkg-deb --fsys-tarfile capsem-kernel.deb |
  tar --extract --keep-directory-symlink --no-overwrite-dir --wildcards --no-wildcards-match-slash \
    './lib/modules/*/modules.*' $patterns
set +f
chroot . depmod "$(ls lib/modules)"
sed -i 's/^\([^:]*:[^:]*:\)[0-9]*:/\11:/' etc/shadow  # 0 would mean: to be changed now
rm -f capsem-kernel.deb etc/hostname etc/resolv.conf \
  etc/passwd- etc/group- etc/shadow- etc/gshadow- \
  etc/apt/apt.conf.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/99mmdebstrap \
  var/cache/debconf/*-old var/lib/dpkg/*-old
)sh";

}  // namespace capsem::assets
