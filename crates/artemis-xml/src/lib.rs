//! The XML that `artemis data exp` writes and `artemis data imp` reads.
//!
//! ```text
//! <activemq-journal>
//!   <bindings>  <address-binding …/> … <queue-binding …/> …  </bindings>
//!   <messages>
//!     <message id priority expiration timestamp type user-id>
//!       <properties> <property name value type/> … </properties>
//!       <queues> <queue name/> … </queues>
//!       <body [isLarge="true"]> <![CDATA[base64]]> … </body>
//!     </message> …
//! ```
//! What Artemis' own files show (2.44), and what is made of it here:
//!
//! - A body is what the CORE protocol carries, in base64 with `-` and `_`; that of a large message is
//!   several pieces, each encoded by itself. The standard alphabet is read too.
//! - A null is the word `_AMQ_NULL` of type `bytes`; a `char` has no type at all.
//! - Artemis writes line ends and control characters in attributes as they are. XML makes spaces of the
//!   former and forbids the latter; the reader takes both literally, so that nothing is lost. The writer
//!   writes line ends as references. For what XML cannot say at all it puts U+FFFD, and beside it the exact
//!   text in the attribute `utf16`, which Artemis passes over.
//!
//! The reader takes one message at a time and has a bound for each, so a file may be of any size.

mod model;
mod properties;
mod reader;
mod scanner;
mod writer;

pub use model::{AddressBinding, Item, Limits, Message, QueueBinding};
pub use reader::{ReadError, Reader};
pub use writer::{Altered, Writer};

/// A body of this many bytes or more is written as a large one, as Artemis' clients send it.
pub const LARGE_BODY_BYTES: usize = 100 * 1024;
