//! Compares what is stored with what it should be.
