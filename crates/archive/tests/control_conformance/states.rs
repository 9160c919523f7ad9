//! A property: whatever is tried, a round's state changes only where the model allows, and each change is recorded.

use super::Fresh;
use super::staging::*;
use model::{UnitState, UseCase};

/// A thousand moves drawn by a fixed generator, on one round each time it gets stuck on a new one.
pub fn only_allowed_changes(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    record(&mut archive, &night(1));
    let mut unit = open_round(&mut archive, UseCase::Preview, 1, &|_| true);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut allowed = 0;
    for _ in 0..300 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let to = UnitState::ALL[(state % UnitState::ALL.len() as u64) as usize];
        let from = archive.unit_state(&unit).unwrap();
        let moved = archive.move_unit(&unit, to, &cause(), now());
        assert_eq!(moved.is_ok(), from.may_become(to), "{from} to {to}");
        let now_is = archive.unit_state(&unit).unwrap();
        assert_eq!(now_is, if moved.is_ok() { to } else { from });
        allowed += u32::from(moved.is_ok());
        if let Err(error) = moved {
            assert!(error.is_conflict());
        }
        if matches!(now_is, UnitState::Retracted | UnitState::Failed) {
            unit = open_round(&mut archive, UseCase::Preview, 1, &|_| true);
        }
    }
    assert!(allowed > 20, "the walk went somewhere: {allowed}");
}
