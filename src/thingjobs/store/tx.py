"""What an operation sees of the store: one transaction, and the tables behind it by subject."""

from __future__ import annotations

from thingjobs.domain.effects import Effect
from thingjobs.store.events import Events
from thingjobs.store.executions import Executions
from thingjobs.store.groups import Groups
from thingjobs.store.job_templates import JobTemplates
from thingjobs.store.jobs import Jobs
from thingjobs.store.marks import Marks
from thingjobs.store.rollouts import Rollouts
from thingjobs.store.scopes import Scopes
from thingjobs.store.sqlite import Database
from thingjobs.store.tags import Tags
from thingjobs.store.thing_types import ThingTypes
from thingjobs.store.things import Things


class Tx:
    """A transaction on one connection, used again for the next when it has ended."""

    def __init__(self, database: Database) -> None:
        self._connection = database.connection
        self._effects: list[Effect] = []
        self.scopes = Scopes(database)
        self.things = Things(database)
        self.thing_types = ThingTypes(database)
        self.groups = Groups(database)
        self.tags = Tags(database)
        self.jobs = Jobs(database)
        self.job_templates = JobTemplates(database)
        self.rollouts = Rollouts(database)
        self.executions = Executions(database)
        self.marks = Marks(database)
        self.events = Events(database)

    def record(self, effect: Effect) -> None:
        """Have ``effect`` published once this transaction is durable."""
        self._effects.append(effect)

    # --- for the batcher --------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._connection.in_transaction

    def begin(self) -> None:
        self._effects = []
        self._connection.execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        self._connection.execute("BEGIN")

    def savepoint(self) -> int:
        self._connection.execute("SAVEPOINT piece")
        return len(self._effects)

    def release(self, mark: int) -> None:
        self._connection.execute("RELEASE piece")

    def rollback_to(self, mark: int) -> None:
        """Undo what was done since ``savepoint``, effects included; the savepoint stays."""
        self._connection.execute("ROLLBACK TO piece")
        del self._effects[mark:]

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        self._effects = []
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
