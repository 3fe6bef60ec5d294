//! Defines a packet's struct together with its encoding, one line per field in wire order.

/// `pub name: Type as Codec` per field; derives what every packet has and implements `Wire`.
macro_rules! wire_struct {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* pub $field:ident: $ty:ty as $codec:ty, )+
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $ty, )+
        }

        impl $crate::wire::Wire for $name {
            fn read(
                reader: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::DecodeError> {
                Ok(Self {
                    $( $field: <$codec as $crate::wire::Codec<$ty>>::read(
                        reader,
                        concat!(stringify!($name), ".", stringify!($field)),
                    )?, )+
                })
            }

            fn write<S: $crate::wire::Sink>(&self, out: &mut S) {
                $( <$codec as $crate::wire::Codec<$ty>>::write(&self.$field, out); )+
            }
        }
    )+};
}

pub(crate) use wire_struct;
