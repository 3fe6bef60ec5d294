//! From a stream of bytes to frames.
