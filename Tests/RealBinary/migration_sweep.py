"""The sweep of a migration of a store: each checkpoint is the old file or the new one at every moment,
and what was cut off is finished by doing it again."""

from __future__ import annotations


import harness
import traces
from harness import Listing, Result, Workplace, could_not_run
from sweep_cases import ERRORS, Case, did_happen, is_named, places

OLD_STORE = harness.ROOT / "Tests/Fixtures/v1/train-lm-0.1.0/store"
NAME = "ckpt-migrate --in-store"


class MigrationSweep:
    """A store kept from release 0.1.0, migrated to the version of today."""

    def __init__(self, work: Workplace) -> None:
        self.work = work
        program = work.programs / "ckpt-migrate"
        if not program.exists():
            could_not_run(f"{program} is missing: swift build -c release --product ckpt-migrate")
        self.command = [str(program), "--jobs", "1", "--json", "--in-store", harness.STORE]
        work.clear(OLD_STORE)
        self.old = harness.contents(work.store)
        result, calls = traces.traced(work, self.command, traces.STORAGE_CALLS)
        if result.status != 0:
            could_not_run(f"the undisturbed migration failed: {result.errors}")
        self.new = harness.contents(work.store)
        if set(self.new) != set(self.old) or any(self.new[n] == self.old[n] for n in self.old):
            could_not_run("the undisturbed migration has not migrated every checkpoint")
        self.places = [
            place for place in places(calls, lambda call: harness.STORE in call.names)
            if place.call.name != "write"]

    def cases(self, kind: str, errors: list[str | None]) -> list[Case]:
        return [Case(place, kind, error) for error in errors for place in self.places]

    def check(self, case: Case) -> list[str] | None:
        self.work.clear(OLD_STORE)
        result, calls = traces.traced(
            self.work, self.command, [case.place.call.name], [case.injection])
        if not did_happen(case, result, calls):
            return None
        found = self.check_store()
        if case.kind != "kill":
            found += self.check_end(case, result)
        return found + self.check_again()

    def check_store(self) -> list[str]:
        """Every checkpoint is there, old or new, and intact."""
        now = harness.contents(self.work.store)
        found = [f"{name} is neither the old file nor the new one" for name in self.old
                 if now.get(name) not in (self.old[name], self.new[name])]
        verified = self.work.run(
            [str(self.work.programs / "ckpt-verify"), "--jobs", "1", harness.STORE])
        if verified.status != 0:
            found.append(f"ckpt-verify: {verified.output} {verified.errors}")
        return found

    def check_end(self, case: Case, result: Result) -> list[str]:
        """What a migration must say that was not killed."""
        if result.timed_out:
            return ["it hangs"]
        said = result.output + result.errors
        if result.status == 0:
            same = harness.contents(self.work.store) == self.new
            return [] if same else [f"success, and not all is migrated: {said[-600:]}"]
        found: list[str] = []
        if result.status not in (1, 2):
            found.append(f"status {result.status}: {said[-600:]}")
        if case.error == "EINTR" and case.kind == "once" and case.place.call.name != "close":
            found.append(f"an interrupt was not repeated: {said[-600:]}")
        if f"(errno {ERRORS[case.error]})" not in said or not is_named(case.place.call, said):
            found.append(f"call or errno is not named: {said[-600:]}")
        return found

    def check_again(self) -> list[str]:
        """Done again, it comes to the same files, and leaves nothing beside them."""
        result = self.work.run(self.command)
        found: list[str] = []
        if result.status != 0:
            found.append(f"it cannot be finished: {result.output} {result.errors}")
        if harness.contents(self.work.store) != self.new:
            found.append("finished, the files are others than undisturbed")
        temporaries = Listing.of(self.work.store).temporaries
        return found + [f"a temporary file stays behind: {name}" for name in temporaries]
