//! Survey profiles.
