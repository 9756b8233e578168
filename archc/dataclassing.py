"""Dataclasses that cost nearly nothing to define.

The standard library writes every method of a dataclass as source and compiles it with the class:
most of a millisecond for a frozen one, and a command of archc defines 150. Here ``__init__`` is
compiled when it is first looked up, and the other methods are closures. Parameters and behaviour
are those of `dataclasses.dataclass`, and its `fields`, `replace` and `asdict` work.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, FrozenInstanceError
from operator import attrgetter, ge, gt, le, lt
from reprlib import recursive_repr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        cls=None, /, *, frozen=False, eq=True, order=False, repr=True, kw_only=False, slots=False
    ):
        """`dataclasses.dataclass`, with those of its parameters that archc uses."""

        def made(cls):
            # For a class without a docstring, the library asks for its signature to make one.
            cls.__doc__ = cls.__doc__ or cls.__name__
            has_own_hash = cls.__dict__.get("__hash__") is not None
            cls = _with_fields(cls, frozen, kw_only=kw_only, slots=slots)
            methods = {"__init__": _Init(cls, frozen)}
            if repr:
                methods["__repr__"] = _repr_of(cls)
            if eq:
                methods["__eq__"] = _equality_of(cls)
            if order:
                methods |= _order_of(cls)
            if frozen:
                methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
            if frozen and slots:
                methods |= {"__getstate__": _state, "__setstate__": _set_state}
            for name, method in methods.items():
                if name not in cls.__dict__:
                    setattr(cls, name, method)
            if eq and not has_own_hash:
                cls.__hash__ = _hash_of(cls) if frozen else None
            return cls

        return made if cls is None else made(cls)

    def _with_fields(cls, frozen, **parameters):
        """The class with its fields, by the library, without a method of the library's."""
        # To be asked for a frozen class is to write its methods; not to be asked is to refuse
        # frozen bases. So they are not frozen for a moment.
        bases = [
            base.__dict__["__dataclass_params__"]
            for base in cls.__mro__[1:]
            if "__dataclass_params__" in base.__dict__
        ]
        were = [base.frozen for base in bases]
        try:
            for base in bases:
                base.frozen = False
            cls = dataclasses.dataclass(init=False, repr=False, eq=False, **parameters)(cls)
        finally:
            for base, was in zip(bases, were, strict=True):
                base.frozen = was
        cls.__dataclass_params__.frozen = frozen
        return cls

    class _Anew:
        """The default of a field whose value is made anew for each instance."""

        def __repr__(self):
            return "<factory>"

    _ANEW = _Anew()

    class _Init:
        """``__init__`` until it is looked up for the first time; it then takes its own place."""

        def __init__(self, cls, frozen):
            self._cls = cls
            self._frozen = frozen

        def __get__(self, instance, owner):
            init = _init_of(self._cls, self._frozen)
            self._cls.__init__ = init
            return init if instance is None else init.__get__(instance, owner)

    def _init_of(cls, frozen):
        names = {"_set": object.__setattr__, "_anew": _ANEW}
        fields = dataclasses.fields(cls)
        parameters = [
            _parameter(field, names)
            for field in sorted(fields, key=lambda field: field.kw_only)
            if field.init
        ]
        if any(field.kw_only and field.init for field in fields):
            before = sum(field.init and not field.kw_only for field in fields)
            parameters.insert(before, "*")
        body = [
            f"_set(self, {field.name!r}, {value})" if frozen else f"self.{field.name} = {value}"
            for field in fields
            if (value := _value(field, names)) is not None
        ]
        if hasattr(cls, "__post_init__"):
            body.append("self.__post_init__()")
        source = f"def __init__({', '.join(['self', *parameters])}):\n " + "\n ".join(
            body or ["pass"]
        )
        exec(source, names)
        init = names["__init__"]
        init.__qualname__ = f"{cls.__qualname__}.__init__"
        init.__module__ = cls.__module__
        init.__annotations__ = {field.name: field.type for field in fields if field.init}
        init.__annotations__["return"] = None
        return init

    def _parameter(field, names):
        """A field as a parameter; ``names`` gets its default."""
        if field.default is MISSING and field.default_factory is MISSING:
            return field.name
        names[f"_default_{field.name}"] = _ANEW if field.default is MISSING else field.default
        return f"{field.name}=_default_{field.name}"

    def _value(field, names):
        """The expression of a field's value; None where the class attribute is that."""
        if field.default_factory is not MISSING:
            names[f"_make_{field.name}"] = field.default_factory
            made = f"_make_{field.name}()"
            return f"{made} if {field.name} is _anew else {field.name}" if field.init else made
        if field.init:
            return field.name
        if field.default is MISSING:
            return None
        names[f"_default_{field.name}"] = field.default
        return f"_default_{field.name}"

    def _repr_of(cls):
        shown = tuple(field.name for field in dataclasses.fields(cls) if field.repr)

        @recursive_repr()
        def __repr__(self):
            values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
            return f"{type(self).__qualname__}({values})"

        return __repr__

    def _key_of(names):
        if len(names) > 1:
            return attrgetter(*names)
        return lambda self: tuple(getattr(self, name) for name in names)

    def _compared(cls):
        return _key_of([field.name for field in dataclasses.fields(cls) if field.compare])

    def _equality_of(cls):
        key = _compared(cls)

        def __eq__(self, other):
            if other.__class__ is not self.__class__:
                return NotImplemented
            return key(self) == key(other)

        return __eq__

    def _order_of(cls):
        key = _compared(cls)

        def comparing(compare):
            def method(self, other):
                if other.__class__ is not self.__class__:
                    return NotImplemented
                return compare(key(self), key(other))

            return method

        return {f"__{compare.__name__}__": comparing(compare) for compare in (lt, le, gt, ge)}

    def _hash_of(cls):
        key = _key_of(
            [
                field.name
                for field in dataclasses.fields(cls)
                if (field.compare if field.hash is None else field.hash)
            ]
        )

        def __hash__(self):
            return hash(key(self))

        return __hash__

    def _refuse_to_set(self, name, value):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def _refuse_to_delete(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def _state(self):
        return [getattr(self, field.name) for field in dataclasses.fields(self)]

    def _set_state(self, state):
        for field, value in zip(dataclasses.fields(self), state, strict=True):
            object.__setattr__(self, field.name, value)
