"""What the bench prints: a row for each comparison, with its ratio and the bar it has to keep.
A row without a bar only reports."""


class Table:
    def __init__(self) -> None:
        self.missed = False
        self._notes: list[str] = []

    def section(self, title: str, *notes: str) -> None:
        """`notes` go below its rows."""
        self._end_section()
        self._notes = list(notes)
        print(f"\n{title:<50} {'ours':>9} {'peer':>9} {'':<3} {'ratio':>7}  bar", flush=True)

    def finish(self) -> int:
        """The exit status: 1 when a bar was missed."""
        self._end_section()
        return 1 if self.missed else 0

    def at_most(
        self, name: str, ours: float, peer: float, unit: str, bar: float | None = None
    ) -> None:
        """The ratio is ours / peer."""
        ratio = ours / peer
        self._row(
            name, ours, peer, unit, f"{ratio:.2f}", "<=", bar, bar is not None and ratio <= bar
        )

    def times_better(
        self, name: str, ours: float, peer: float, unit: str, bar: float | None = None
    ) -> None:
        """The ratio is peer / ours, printed with an x: so many times faster."""
        ratio = peer / ours
        self._row(
            name, ours, peer, unit, f"{ratio:.2f}x", ">=", bar, bar is not None and ratio >= bar
        )

    def value(self, name: str, ours: float, unit: str, bar: float | None = None) -> None:
        """One figure, which must be under the bar."""
        self._row(name, ours, None, unit, "", "<", bar, bar is not None and ours < bar)

    def note(self, text: str) -> None:
        """One more note for this section."""
        self._notes.append(text)

    def _row(
        self,
        name: str,
        ours: float,
        peer: float | None,
        unit: str,
        ratio: str,
        sign: str,
        bar: float | None,
        kept: bool,
    ) -> None:
        verdict = "" if bar is None else f"{sign} {bar:<5g} {'ok' if kept else 'MISSED'}"
        of_peer = "" if peer is None else f"{peer:.2f}"
        print(
            f"{name:<50} {ours:>9.2f} {of_peer:>9} {unit:<3} {ratio:>7}  {verdict}".rstrip(),
            flush=True,
        )
        self.missed |= bar is not None and not kept

    def _end_section(self) -> None:
        for text in self._notes:
            print(f"  {text}")
