//! Several catalogues of one image.

use super::Fresh;
use super::staging::*;
use archive::refusals::{Decision, RefusalFilter, RefusalState};
use archive::registration::{Arrival, DeliveryFacts, Pairing, Partner, Recorded, Registration};
use archive::work::ImageWork;
use archive::{Archive, Reader};
use model::UseCase;

const PSF: &str = "a_psf_cat.fits";
const SEX: &str = "a_sex_cat.fits";

/// The image of a file is in its name before `_` or `.`, the catalogue of the image between that and the extension.
struct ByName;

impl Pairing for ByName {
    fn keys(&self, partner: Partner<'_>) -> Vec<String> {
        let image = partner.name.split(['_', '.']).next().unwrap_or_default();
        vec![image.to_owned()]
    }

    fn series(&self, catalogue: Partner<'_>) -> String {
        let name = catalogue.name.split('.').next().unwrap_or_default();
        name.split_once('_').map_or("", |(_, catalogue)| catalogue).to_owned()
    }

    fn is_catalogue(&self, name: &str) -> bool {
        name.contains("_cat")
    }
}

/// Registers files of a source that shows some names; under way with `None`, when the source lists `listed`.
fn register(
    archive: &mut Archive,
    arrivals: &[Arrival],
    (present, listed): (Option<&[&str]>, &[&str]),
) -> Recorded {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let present = present.map(owned);
    let awaited = present.is_none().then(|| "files are being fetched".to_owned());
    let registration = Registration {
        delivery: DeliveryFacts {
            all_there: present.is_some(),
            is_under_way: present.is_none(),
            awaited,
            listed: owned(listed),
            ..delivery()
        },
        arrivals,
        unchanged: &[],
        present: present.as_deref(),
        touched: &[],
        refusals: &[],
        postponed: &[],
        skipped: &[],
        findings: &[],
        pairing: &ByName,
        unused: &|_| Vec::new(),
    };
    archive.record(&registration, now()).unwrap()
}

fn shows(archive: &mut Archive, arrivals: &[Arrival], present: &[&str]) -> Recorded {
    register(archive, arrivals, (Some(present), &[]))
}

fn psf() -> Arrival {
    arrival(PSF, "psf rows")
}

fn sex() -> Arrival {
    arrival(SEX, "sex rows")
}

fn image() -> Arrival {
    arrival("a.fit", "image")
}

/// Returns name and version of the catalogue of the only image, and the catalogues without image or with a rival.
fn catalogue(archive: &Reader) -> (Option<(String, i32)>, Vec<String>) {
    let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
    assert_eq!(work.images.len(), 1, "{work:?}");
    let of_image = work.images[0].catalogue.as_ref().map(|c| (c.name.clone(), c.version));
    (of_image, work.unpaired.into_iter().chain(work.ambiguous).collect())
}

fn is(name: &str, version: i32) -> (Option<(String, i32)>, Vec<String>) {
    (Some((name.to_owned(), version)), Vec::new())
}

/// Returns the open refusals: file and subject.
fn open(archive: &Reader) -> Vec<(String, Option<String>)> {
    let filter = RefusalFilter { state: Some(RefusalState::Open), ..RefusalFilter::default() };
    let refusals = archive.refusals(&filter).unwrap();
    let one = |r: archive::refusals::RefusalRecord| {
        assert_eq!(r.refusal.code, "catalogue_ambiguous", "{}", r.refusal.message);
        assert!(r.refusal.parked);
        for name in [PSF, SEX, "a.fit"] {
            assert!(r.refusal.message.contains(name), "{}", r.refusal.message);
        }
        (r.refusal.file, r.refusal.subject)
    };
    refusals.into_iter().map(one).collect()
}

fn both() -> Vec<(String, Option<String>)> {
    [PSF, SEX].map(|name| (name.to_owned(), Some("a.fit".to_owned()))).to_vec()
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

/// Two catalogues of an image that nothing tells apart are both refused, in whichever order and groups they arrive; what the source
/// keeps of them is the catalogue.
pub fn both_are_refused(fresh: &Fresh) {
    let all = [PSF, SEX, "a.fit"];
    let names = ["a.fit", PSF, SEX];
    let orders: [&[&[Arrival]]; 5] = [
        &[&[psf(), sex(), image()]],
        &[&[image(), sex(), psf()]],
        &[&[psf()], &[sex()], &[image()]],
        &[&[image()], &[psf()], &[sex()]],
        &[&[sex(), image()], &[psf()]],
    ];
    for groups in orders {
        let (_dir, _site, mut archive) = fresh();
        let arrived: Vec<&str> =
            groups.iter().flat_map(|g| g.iter().map(|a| a.name.as_str())).collect();
        for group in groups {
            register(&mut archive, group, (None, &names));
            let work = archive.delivery_work(&NIGHT.parse().unwrap()).unwrap();
            assert!(work.images.iter().all(|i| i.catalogue.is_none()), "{arrived:?}: {work:?}");
        }
        let recorded = shows(&mut archive, &[], &names);
        assert_eq!(sorted(open(&archive)), both(), "{arrived:?}");
        assert_eq!(recorded.superseded, 0);
        assert_eq!(catalogue(&archive), (None, all[..2].iter().map(|n| (*n).to_owned()).collect()));
        // The same again is no news, and a retry meets the same.
        assert_eq!(shows(&mut archive, &[psf(), sex()], &names).new_refusals, 0);
        let filter = RefusalFilter::default();
        let first = archive.refusals(&filter).unwrap()[0].refusal_id;
        archive.decide(first, Decision::Retry, &cause(), now()).unwrap();
        assert_eq!(shows(&mut archive, &[], &names).new_refusals, 1);
        assert_eq!(archive.refusals(&filter).unwrap().len(), 2, "the same ones");
        // One is removed: the other is the first version.
        let recorded = shows(&mut archive, &[], &["a.fit", SEX]);
        assert_eq!((recorded.resolved_refusals, recorded.superseded), (2, 1));
        assert_eq!(catalogue(&archive), is(SEX, 1));
        assert_eq!(open(&archive), []);
        // The removed one comes back, and later alone.
        shows(&mut archive, &[], &names);
        assert_eq!(sorted(open(&archive)), both());
        shows(&mut archive, &[], &["a.fit", PSF]);
        assert_eq!(catalogue(&archive), is(PSF, 2));
        shows(&mut archive, &[], &["a.fit", SEX]);
        assert_eq!(catalogue(&archive), is(SEX, 1), "the same key has the same version");
        assert_eq!(open(&archive), []);
    }
}

/// A catalogue that is known to be outstanding counts, so that the result does not depend on the time of its arrival.
pub fn an_outstanding_rival_counts(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    register(&mut archive, &[psf(), image()], (None, &["a.fit", PSF, SEX]));
    assert_eq!(catalogue(&archive), (None, vec![PSF.to_owned()]));
    assert_eq!(open(&archive), [], "more is arriving");
    // A rival that is of no image, or of the same catalogue, is none.
    let (_dir, _site, mut archive) = fresh();
    let listed = ["a.fit", "a_psf_cat.fits", "a_psf_cat.fits.gz", "b_sex_cat.fits"];
    register(&mut archive, &[psf(), image()], (None, &listed));
    assert_eq!(catalogue(&archive), is(PSF, 1));
}

/// Files of one catalogue under other names are its versions, and so are catalogues that take the place of one another.
pub fn another_name_is_a_version(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    shows(&mut archive, &[psf(), image()], &["a.fit", PSF]);
    assert_eq!(catalogue(&archive), is(PSF, 1));
    shows(&mut archive, &[arrival(PSF, "more rows")], &["a.fit", PSF]);
    assert_eq!(catalogue(&archive), is(PSF, 2));
    let packed = arrival("a_psf_cat.fits.gz", "packed rows");
    shows(&mut archive, &[packed], &["a.fit", PSF, "a_psf_cat.fits.gz"]);
    assert_eq!(catalogue(&archive), is("a_psf_cat.fits.gz", 3), "side by side as well");
    shows(&mut archive, &[sex()], &["a.fit", SEX]);
    assert_eq!(catalogue(&archive), is(SEX, 4));
    assert_eq!(archive.refusals(&RefusalFilter::default()).unwrap(), []);
    let facts = archive.facts("20071011_v1/a_psf_cat.fits").unwrap().unwrap();
    assert_eq!(facts.files[0].replaced_by.as_deref(), Some(SEX));
}

/// A catalogue that was read before another one arrived stays the catalogue of its image: metadata and detections are of one.
pub fn what_was_read_stays(fresh: &Fresh) {
    let (_dir, _site, mut archive) = fresh();
    shows(&mut archive, &[psf(), image()], &["a.fit", PSF]);
    stage_round(&mut archive, UseCase::Metadata, 1);
    shows(&mut archive, &[sex()], &["a.fit", PSF, SEX]);
    assert_eq!(sorted(open(&archive)), both());
    let (of_image, ambiguous) = catalogue(&archive);
    assert_eq!(of_image, Some((PSF.to_owned(), 1)));
    assert_eq!(ambiguous, [PSF, SEX]);
    // Newer content of it is as ambiguous, and changes nothing.
    shows(&mut archive, &[arrival(PSF, "newer rows")], &["a.fit", PSF, SEX]);
    assert_eq!(catalogue(&archive).0, Some((PSF.to_owned(), 1)));
    let of_image = |i: &ImageWork| i.progress(UseCase::Metadata).redo.is_none();
    assert!(archive.delivery_work(&NIGHT.parse().unwrap()).unwrap().images.iter().all(of_image));
    shows(&mut archive, &[], &["a.fit", PSF]);
    assert_eq!(catalogue(&archive), is(PSF, 2));
    assert_eq!(open(&archive), []);
}
