//! Number of an HDU in its file.

/// Position of an HDU in its file, primary = 0. The archive's extension number counts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HduIndex(pub u16);
