"""A block type as a value: what may be said of it, what it is made of, how its parts are called.

Definitions are read from YAML by `archc.blocks.reading`; a stage of such blocks, and a block that
is used as a layer, are checked by models made from its attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from archc.blocks.around import ActivationName, Around, NormName
from archc.blocks.tree import BlockItem, Expr, Item, LayerItem, Row, Template, walk
from archc.dataclassing import dataclass
from archc.graph import Fragment, Shape, ShapeError
from archc.graph.authored import Condition, Formula
from archc.ops import MAX_CHANNELS, MAX_PIXELS
from archc.source.diagnostics import Place
from archc.source.record import Field, Record, record_type

if TYPE_CHECKING:
    from archc.blocks.lowering import Movable

MAX_BLOCKS = 10_000

Kind: TypeAlias = Literal["int", "number", "bool", "size", "activation", "norm", "word"]
NETWORK = "network"


@dataclass(frozen=True, eq=False)
class Attribute:
    """What an author may say of a block.

    ``default`` is plain data, an expression, or None where there is none: then it must be given,
    unless it is ``optional``. ``words`` are what a ``word`` may be, or what a number may be besides
    (``or: [none]``). ``least`` and ``most`` bound a number.
    """

    name: str
    kind: Kind
    place: Place
    default: Expr | bool | int | float | str | tuple[int, int] | None = None
    optional: bool = False
    words: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    description: str = ""

    @property
    def is_required(self) -> bool:
        """Whether it has to be given."""
        return self.default is None and not self.optional

    @property
    def model_field(self) -> tuple[Any, Any]:
        """Its type and its default as pydantic has them."""
        kind = self._type
        if self.words and self.kind != "word":
            kind = kind | Literal[self.words]
        own = Field(description=self.description) if self.description else Field()
        if self.is_required:
            return kind, own
        computed = isinstance(self.default, Expr) or self.default is None
        default = None if computed else self.default
        return (kind | None if computed else kind), _with_default(default, self.description)

    @property
    def _type(self) -> Any:
        bounds: dict[str, Any] = {
            key: one for key, one in (("ge", self.least), ("le", self.most)) if one is not None
        }
        if self.kind == "word":
            return Literal[self.words]
        if self.kind == "bool":
            return bool
        if self.kind == "activation":
            return Literal[(*get_args(ActivationName), NETWORK, "none")]
        if self.kind == "norm":
            return Literal[(*get_args(NormName), NETWORK, "none")]
        if self.kind == "number":
            return Annotated[float, Field(**bounds)]
        side = Annotated[int, Field(**{"ge": 1, "le": MAX_PIXELS, **bounds})]
        if self.kind == "size":
            words = f"an integer from {bounds.get('ge', 1)} to {bounds.get('le', MAX_PIXELS):,}"
            return Annotated[
                side | tuple[side, side],
                Field(words=f"{words}, or [height, width]"),
            ]
        if self.name == "width":
            return Annotated[int, Field(**{"ge": 1, "le": MAX_CHANNELS, **bounds})]
        return Annotated[int, Field(**bounds)]


def _with_default(default: Any, description: str) -> Any:
    return Field(default=default, description=description) if description else Field(default)


@dataclass(frozen=True, eq=False)
class Check:
    """A rule of a block: what must hold, the message where it does not, and which attribute is
    to blame: the first of ``at`` that is given, or else the last."""

    that: Expr
    message: Template | None = None
    hint: str | None = None
    at: tuple[str, ...] = ()


class StageAttributes(Record):
    """What every stage has, whatever its block type."""

    list_hint: ClassVar[str | None] = "only `with` takes a list of one value per stage"

    block: str = Field(description="The block type that the stage repeats.")
    depth: int = Field(ge=1, le=MAX_BLOCKS, description="Number of blocks in the stage.")


class Stage(StageAttributes):
    """A run of equal blocks; the first may halve the feature map and change its width."""

    definition: ClassVar[Definition]

    if TYPE_CHECKING:  # they stand among the definition's own attributes
        stride: int
        width: int

    def lower(self, x: Shape, stride: int, around: Around, index: int = 0) -> Fragment:
        """One block on an input of shape ``x``, with this stride; ``index`` says which block of
        the network it is, from 0, and matters only where the definition reads it.

        Raises `ShapeError` where the input does not fit.
        """
        from archc.blocks.lowering import lower_block

        return lower_block(self.definition, self, x, stride, around, index)

    def lower_movable(self, x: Shape, stride: int, around: Around, index: int) -> Movable:
        """As `lower`, with what it takes to put the block elsewhere."""
        from archc.blocks.lowering import lower_movable

        return lower_movable(self.definition, self, x, stride, around, index)

    def finish(self, x: Shape, around: Around) -> Fragment | None:
        """What comes at the end of the stage, after its blocks."""
        if not self.definition.end:
            return None
        from archc.blocks.lowering import lower_end

        return lower_end(self.definition, self, x, around)

    def fault(self, around: Around) -> ShapeError | None:
        """What is wrong with the stage whatever its input; `lower` raises it, too."""
        from archc.blocks.lowering import fault_of

        return fault_of(self.definition, self, around)

    def width_or(self, otherwise: int) -> int:
        """Its attribute ``width``, where it has one."""
        found = self.__dict__.get("width")
        return found if isinstance(found, int) else otherwise


@dataclass(eq=False)
class Definition:
    """A block type.

    ``source`` is the definition as plain data, for digests and for `archc show`. ``classes`` are
    names of the emitted class with conditions, the first that holds being taken. ``norm`` and
    ``activation`` are the block's own, where it has any. ``is_own`` says that it is written in the
    spec itself rather than in the library or a file of blocks.
    """

    name: str
    place: Place
    source: Mapping[str, object]
    description: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    let: Mapping[str, Expr] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    layers: Row = ()
    end: Row = ()
    numbered: bool = False
    inline: bool = False
    classes: tuple[tuple[str, Expr | None], ...] = ()
    norm: str | None = None
    activation: str | None = None
    is_own: bool = False

    @cached_property
    def stage(self) -> type[Stage]:
        """The model of a stage of such blocks."""
        model: type[Stage] = self._model("Stage", Stage)
        return model

    @cached_property
    def fields(self) -> type[Record]:
        """The model of such a block used as a layer."""
        model: type[Record] = self._model("Fields", Record)
        return model

    def _model(self, suffix: str, base: type[Any]) -> Any:
        own: dict[str, Any] = {name: one.model_field for name, one in self.attributes.items()}
        first = {"width": own.pop("width")} if "width" in own else {}
        stride = Annotated[int, Field(ge=1, le=MAX_PIXELS)]
        words = "Stride of the stage's first block." if base is Stage else "Stride."
        own = {**first, "stride": (stride, Field(default=1, description=words)), **own}
        model = record_type(f"{self.name}{suffix}", base, own, self.description)
        model.definition = self
        return model

    @cached_property
    def blocks(self) -> list[Definition]:
        """The definitions of the blocks that it uses as layers, directly."""
        items = [*walk(self.layers), *walk(self.end)]
        return list(dict.fromkeys(one.block for one in items if isinstance(one, BlockItem)))

    @cached_property
    def said(self) -> tuple[tuple[Condition, ...], Mapping[str, Formula]]:
        """Its conditions, and the formulas of its names, as emitted source can say them."""
        from archc.blocks.authored import said

        return said(self)

    @property
    def with_all_it_uses(self) -> dict[str, Definition]:
        """The definition by its name, after those of all the blocks that it uses."""
        found: dict[str, Definition] = {}
        for inner in self.blocks:
            found |= inner.with_all_it_uses
        return {**found, self.name: self}

    @cached_property
    def size(self) -> int:
        """How many layers it has at the least, those of the blocks that it uses counted in."""
        return sum(
            (one.block.size if isinstance(one, BlockItem) else 1)
            * (one.repeat if isinstance(one.repeat, int) else 1)
            for one in walk(self.layers)
            if one.condition is None
        )

    @cached_property
    def expressions(self) -> list[Expr]:
        """Every expression of the definition."""
        return [*self._others(), *(e for item in self._items() for e in item.expressions)]

    def _items(self) -> Iterator[Any]:
        yield from walk(self.layers)
        yield from walk(self.end)

    def _others(self) -> Iterator[Expr]:
        yield from self.let.values()
        yield from (check.that for check in self.checks)
        yield from (test for _, test in self.classes if test is not None)
        yield from (a.default for a in self.attributes.values() if isinstance(a.default, Expr))

    def reads(self, name: str) -> bool:
        """Whether one of its expressions, or of the blocks that it uses, has a name."""
        return any(name in one.names for one in self.expressions) or any(
            inner.reads(name) for inner in self.blocks if name in ("index", "total", "norm")
        )

    @cached_property
    def reads_norm_first(self) -> bool:
        """Whether it has a pre-activation form."""
        return self.reads("pre_activation")

    @cached_property
    def sizes_vary(self) -> bool:
        """Whether its blocks may differ with their place in more than what is dropped at random."""
        if not self.varies:
            return False
        placed = {"index", "total"}
        for name, expr in self.let.items():  # each reads those before it
            if placed & set(expr.names):
                placed.add(name)
        read = [*self._others(), *(e for item in self._items() for e in _but_chances(item))]
        own = any(placed & set(expr.names) for expr in read if expr not in self.let.values())
        return own or any(inner.sizes_vary for inner in self.blocks)

    @cached_property
    def moves(self) -> bool:
        """Whether its blocks differ with their place in chances alone, and each of these reads the
        place itself and nothing that changes in its row: such a block can be put elsewhere."""
        chances = [one.chance for one in self._items() if isinstance(one, LayerItem) and one.chance]
        return (
            not self.sizes_vary
            and not any("index" in expr.names for expr in self.let.values())
            and not any("channels" in expr.names for expr in chances)
            and all(inner.moves for inner in self.blocks)
        )

    @cached_property
    def varies(self) -> bool:
        """Whether its blocks differ with their place in the network."""
        return self.reads("index") or self.reads("total")


def _but_chances(item: Item) -> Iterator[Expr]:
    """The expressions of an item, without the probability that a layer drops something with."""
    chance = item.chance if isinstance(item, LayerItem) else None
    yield from (expr for expr in item.expressions if expr is not chance)
