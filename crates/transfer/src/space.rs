//! Free space: the library's volume for each file, and a check that everything fits, before anything is fetched.

use crate::listing::Wanted;
use crate::{Mode, Request, TransferFault};
use model::{Refusal, RefusalCode};
use std::path::PathBuf;

/// A disk of the library, with the delivery's directory on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The delivery's directory.
    pub directory: PathBuf,
    /// Bytes that must stay free.
    pub keep_free_bytes: u64,
}

/// The volume to fill first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// Each until it is full, in the order in which they are listed.
    #[default]
    InOrder,
    /// The volume with the most free space.
    MostFree,
}

impl Volume {
    /// Returns the number of bytes that may be written.
    ///
    /// # Errors
    /// Fails when the disk cannot be queried: then no file is known to fit.
    pub(crate) fn writable_bytes(&self) -> Result<u64, TransferFault> {
        let disk = self.directory.ancestors().find(|dir| dir.is_dir()).unwrap_or(&self.directory);
        let free = files::free_bytes(disk)
            .map_err(|source| TransferFault::Library { path: self.directory.clone(), source })?;
        Ok(free.saturating_sub(self.keep_free_bytes))
    }
}

/// Assigns a volume to every wanted file. Refuses to start a fetch that will not fit. A file that alone is larger than every
/// volume does not block the others: it is removed and refused.
pub(crate) fn allot(
    request: &Request<'_>,
    wanted: &mut Vec<Wanted>,
) -> Result<Vec<Refusal>, TransferFault> {
    let max_bytes = request.max_file_bytes;
    let mut refused = Vec::new();
    for one in wanted.extract_if(.., |one| one.bytes > max_bytes) {
        let message =
            format!("the file has {} bytes, the survey's limit is {max_bytes}", one.bytes);
        refused.push(Refusal::new(RefusalCode::TOO_LARGE, one.name, message));
    }
    if request.mode != Mode::Copy && request.source.directory(request.directory).is_some() {
        return Ok(refused);
    }
    let free: Vec<u64> =
        request.volumes.iter().map(Volume::writable_bytes).collect::<Result<_, TransferFault>>()?;
    let largest = free.iter().copied().max().unwrap_or(0);
    for one in wanted.extract_if(.., |one| one.bytes > largest) {
        let message =
            format!("the file has {} bytes, the library has space for {largest}", one.bytes);
        refused.push(Refusal::new(RefusalCode::NO_ROOM, one.name, message));
    }
    let sizes: Vec<u64> = wanted.iter().map(|w| w.bytes).collect();
    match assign(&sizes, &free, request.fill) {
        Some(volumes) => {
            for (one, volume) in wanted.iter_mut().zip(volumes) {
                one.volume = volume;
            }
            Ok(refused)
        }
        None => Err(TransferFault::NoSpace {
            places: request.volumes.iter().map(|v| v.directory.clone()).collect(),
            needed_bytes: with_reserve(sizes.iter().sum()),
            free_bytes: free.iter().sum(),
        }),
    }
}

/// Adds a reserve of 2 % for the needs of the file system in addition to the bytes.
fn with_reserve(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 50)
}

/// Returns a volume for each file, all on one volume where that is possible; `None` when they do not fit. Pure.
fn assign(sizes: &[u64], free: &[u64], fill: Fill) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..free.len()).collect();
    if fill == Fill::MostFree {
        order.sort_by_key(|&volume| std::cmp::Reverse(free[volume]));
    }
    let all = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
    if let Some(&one) = order.iter().find(|&&volume| with_reserve(all) <= free[volume]) {
        return Some(vec![one; sizes.len()]);
    }
    let mut free = free.to_vec();
    let place = |&size: &u64| {
        let needed = with_reserve(size);
        let volume = order.iter().copied().find(|&volume| needed <= free[volume])?;
        free[volume] -= needed;
        Some(volume)
    };
    sizes.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_stay_together_where_they_can() {
        type Case = (&'static [u64], &'static [u64], Fill, Option<&'static [usize]>);
        let cases: [Case; 7] = [
            (&[10, 10], &[100, 1000], Fill::InOrder, Some(&[0, 0])),
            (&[10, 10], &[100, 1000], Fill::MostFree, Some(&[1, 1])),
            (&[60, 60], &[100, 1000], Fill::InOrder, Some(&[1, 1])),
            (&[60, 60, 30], &[100, 90], Fill::InOrder, Some(&[0, 1, 0])),
            (&[60, 60, 60], &[100, 90], Fill::InOrder, None),
            (&[100], &[100], Fill::InOrder, None), // the reserve
            (&[], &[0], Fill::InOrder, Some(&[])),
        ];
        for (sizes, free, fill, wanted) in cases {
            assert_eq!(assign(sizes, free, fill).as_deref(), wanted, "{sizes:?} {free:?} {fill:?}");
        }
    }
}
