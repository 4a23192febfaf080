from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QuoteRequest(_message.Message):
    __slots__ = ("cloth", "yards")
    CLOTH_FIELD_NUMBER: _ClassVar[int]
    YARDS_FIELD_NUMBER: _ClassVar[int]
    cloth: str
    yards: int
    def __init__(self, cloth: _Optional[str] = ..., yards: _Optional[int] = ...) -> None: ...

class DiscountRequest(_message.Message):
    __slots__ = ("cloth", "yards", "customer")
    CLOTH_FIELD_NUMBER: _ClassVar[int]
    YARDS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    cloth: str
    yards: int
    customer: str
    def __init__(self, cloth: _Optional[str] = ..., yards: _Optional[int] = ..., customer: _Optional[str] = ...) -> None: ...

class Price(_message.Message):
    __slots__ = ("cents", "served_by")
    CENTS_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    cents: int
    served_by: str
    def __init__(self, cents: _Optional[int] = ..., served_by: _Optional[str] = ...) -> None: ...

class ReserveRequest(_message.Message):
    __slots__ = ("cloth", "yards")
    CLOTH_FIELD_NUMBER: _ClassVar[int]
    YARDS_FIELD_NUMBER: _ClassVar[int]
    cloth: str
    yards: int
    def __init__(self, cloth: _Optional[str] = ..., yards: _Optional[int] = ...) -> None: ...

class LevelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Level(_message.Message):
    __slots__ = ("cloth", "yards", "served_by")
    CLOTH_FIELD_NUMBER: _ClassVar[int]
    YARDS_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    cloth: str
    yards: int
    served_by: str
    def __init__(self, cloth: _Optional[str] = ..., yards: _Optional[int] = ..., served_by: _Optional[str] = ...) -> None: ...

class PlaceRequest(_message.Message):
    __slots__ = ("cloth", "yards")
    CLOTH_FIELD_NUMBER: _ClassVar[int]
    YARDS_FIELD_NUMBER: _ClassVar[int]
    cloth: str
    yards: int
    def __init__(self, cloth: _Optional[str] = ..., yards: _Optional[int] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("number", "cloth", "yards", "cents", "to_be_woven", "served_by")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CLOTH_FIELD_NUMBER: _ClassVar[int]
    YARDS_FIELD_NUMBER: _ClassVar[int]
    CENTS_FIELD_NUMBER: _ClassVar[int]
    TO_BE_WOVEN_FIELD_NUMBER: _ClassVar[int]
    SERVED_BY_FIELD_NUMBER: _ClassVar[int]
    number: int
    cloth: str
    yards: int
    cents: int
    to_be_woven: bool
    served_by: str
    def __init__(self, number: _Optional[int] = ..., cloth: _Optional[str] = ..., yards: _Optional[int] = ..., cents: _Optional[int] = ..., to_be_woven: _Optional[bool] = ..., served_by: _Optional[str] = ...) -> None: ...

class RecentRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RecentOrders(_message.Message):
    __slots__ = ("orders",)
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[Order]
    def __init__(self, orders: _Optional[_Iterable[_Union[Order, _Mapping]]] = ...) -> None: ...
