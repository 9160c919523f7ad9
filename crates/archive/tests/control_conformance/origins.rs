//! Origins of deliveries: who has a name, what joining needs, and what an operator declares complete.

use super::*;
use archive::deliveries::SkippedEntry;
use archive::deliveries::origins::{Claim, DeliveryOrigin};
use archive::history::Cause;
use archive::{Archive, Reader};
use model::DeliveryName;

fn place(origin: &str, is_source: bool, address: &str) -> DeliveryOrigin {
    DeliveryOrigin {
        origin: origin.to_owned(),
        is_source,
        address: address.to_owned(),
        directory: NIGHT.to_owned(),
    }
}

fn names(archive: &Reader) -> Vec<(String, DeliveryName, bool)> {
    let all = archive.origins(Some(NIGHT)).unwrap().into_iter();
    let mut all: Vec<_> = all.map(|k| (k.place.origin, k.delivery, k.is_reserved)).collect();
    all.sort();
    all
}

pub fn a_name_belongs_to_its_first_origin(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let (one, two) = (place("/a", false, "/a"), place("cam2", true, "ssh://h/b"));
    let own = |place: &DeliveryOrigin, archive: &mut Archive| {
        archive.claim_origin(place, &NIGHT.parse().unwrap(), Claim::Own, now())
    };
    own(&one, &mut archive).unwrap();
    own(&one, &mut archive).unwrap();
    assert_eq!(
        names(&archive),
        [("/a".to_owned(), NIGHT.parse().unwrap(), true)],
        "it is reserved"
    );
    // A reservation that was never used ends when another origin has the lock.
    own(&two, &mut archive).unwrap();
    assert_eq!(names(&archive), [("cam2".to_owned(), NIGHT.parse().unwrap(), true)]);
    archive.release_origin(&two).unwrap();
    assert!(names(&archive).is_empty());
    own(&one, &mut archive).unwrap();
    record(&mut archive, &night(1));
    assert_eq!(names(&archive), [("/a".to_owned(), NIGHT.parse().unwrap(), false)]);
    archive.release_origin(&one).unwrap();
    assert_eq!(names(&archive).len(), 1, "what has files keeps its name");
    let taken = own(&two, &mut archive).unwrap_err();
    assert!(taken.is_conflict(), "{taken}");
    // Joining is remembered; the origin has one delivery.
    archive.claim_origin(&two, &NIGHT.parse().unwrap(), Claim::Join("me"), now()).unwrap();
    own(&two, &mut archive).unwrap();
    assert_eq!(names(&archive).len(), 2);
    let other = archive
        .claim_origin(&two, &"20071011_v1@b".parse().unwrap(), Claim::Own, now())
        .unwrap_err();
    assert!(other.is_conflict(), "{other}");
    let third = place("/c", false, "/c");
    assert!(
        archive
            .claim_origin(&third, &"20990101_v1".parse().unwrap(), Claim::Join("me"), now())
            .is_err()
    );
    // A source that takes the place of a path is the same origin.
    own(&place("cam1", true, "/a"), &mut archive).unwrap();
    assert!(archive.origins(Some("20990101_v1")).unwrap().is_empty());
    assert_eq!(archive.origins(None).unwrap().len(), 3);
}

pub fn an_operator_closes_a_delivery(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    let skipped = [SkippedEntry {
        name: "a.fit.part".to_owned(),
        code: model::SkipReason::Unfinished,
        why: "its name".to_owned(),
    }];
    let fetch = |facts: DeliveryFacts, skipped: &[SkippedEntry], archive: &mut Archive| {
        let registration = Registration { delivery: facts, skipped, ..registration(&[]) };
        archive.record(&registration, now()).unwrap();
    };
    let open = || DeliveryFacts {
        all_there: false,
        awaited: Some("OK_TO_COPY has not come".to_owned()),
        ..delivery()
    };
    let state = |archive: &Reader| {
        let status = archive.status().unwrap().deliveries.remove(0);
        (
            status.state.to_string(),
            status.awaited.is_some(),
            archive.awaited(&NIGHT.parse().unwrap()).unwrap().is_some(),
        )
    };
    fetch(open(), &skipped, &mut archive);
    assert_eq!(state(&archive), ("arriving".to_owned(), true, true));
    assert_eq!(archive.skipped(&NIGHT.parse().unwrap()).unwrap(), skipped);
    let cause = Cause::new("me", "it is all there");
    assert!(archive.close_delivery(&NIGHT.parse().unwrap(), &cause, now()).unwrap());
    assert!(!archive.close_delivery(&NIGHT.parse().unwrap(), &cause, now()).unwrap());
    assert_eq!(state(&archive), ("registered".to_owned(), false, false));
    fetch(DeliveryFacts { is_under_way: true, ..open() }, &[], &mut archive);
    assert_eq!(
        archive.skipped(&NIGHT.parse().unwrap()).unwrap(),
        skipped,
        "a group of files is not a listing"
    );
    assert!(archive.awaited(&NIGHT.parse().unwrap()).unwrap().is_some(), "files are on their way");
    fetch(open(), &[], &mut archive);
    assert_eq!(state(&archive), ("registered".to_owned(), false, false), "the word holds");
    assert!(archive.skipped(&NIGHT.parse().unwrap()).unwrap().is_empty());
    fetch(DeliveryFacts { is_reopened: true, ..open() }, &[], &mut archive);
    assert!(state(&archive).1, "more is to come, as the operator says now");
    fetch(open(), &[], &mut archive);
    assert!(archive.awaited(&NIGHT.parse().unwrap()).unwrap().is_some());
    assert!(archive.close_delivery(&"20990101_v1".parse().unwrap(), &cause, now()).is_err());
    assert_eq!(archive.awaited(&"20990101_v1".parse().unwrap()).unwrap(), None);
}

/// Processings of a night supersede each other when they come from one provider.
pub fn providers_do_not_supersede_each_other(fresh: &Fresh) {
    let cases = [
        // origins of v1 and v2, whether v2 supersedes v1
        (place("cam1", true, "/a"), place("cam1", true, "/a"), true),
        (place("cam1", true, "/a"), place("cam2", true, "/b"), false),
        (place("/a", false, "/a"), place("/b", false, "/b"), true),
        (place("cam1", true, "/a"), place("/b", false, "/b"), true),
    ];
    for (first, second, supersedes) in cases {
        let (_dir, _site, mut archive) = fresh();
        archive.claim_origin(&first, &NIGHT.parse().unwrap(), Claim::Own, now()).unwrap();
        record(&mut archive, &[arrival("w1.fit", "one")]);
        let second = DeliveryOrigin { directory: "20071011_v2".to_owned(), ..second };
        archive.claim_origin(&second, &"20071011_v2".parse().unwrap(), Claim::Own, now()).unwrap();
        record_of(&mut archive, "20071011_v2", &[arrival("w2.fit", "two")]);
        let unit = stage_round_of(&mut archive, NIGHT, UseCase::Metadata, 1);
        publication::publish(&mut archive, &unit);
        // A frame without successor in a later processing is reported for that processing alone.
        let facts = archive.facts("20071011_v2").unwrap().unwrap();
        let told = facts.delivery.unwrap().without_successor;
        assert_eq!(told.len(), usize::from(supersedes), "{first:?} {second:?}: {told:?}");
    }
}
