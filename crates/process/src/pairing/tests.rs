//! Cases of pairing: HDUs by their cards, and what becomes of each table.

use super::*;

/// HDUs as (index, cards).
type Side<'a> = &'a [(u16, &'a [(&'a str, &'a str)])];

fn identities(side: Side<'_>, rules: &CatalogueProfile) -> Vec<Identity> {
    let identity = |(hdu, cards): &(u16, &[(&str, &str)])| {
        Identity::of(*hdu, rules, |keyword| {
            cards.iter().find(|(k, _)| *k == keyword).map(|(_, value)| (*value).to_owned())
        })
    };
    side.iter().map(identity).collect()
}

fn hdus(side: &[Identity]) -> Vec<u16> {
    side.iter().map(|identity| identity.hdu).collect()
}

/// Returns the rules of a survey whose tables are in the HDUs of their images.
fn same_hdu() -> CatalogueProfile {
    CatalogueProfile { pairing: Pairing::Hdu, ..CatalogueProfile::default() }
}

/// Returns for each table the HDU of its image, or the code.
fn paired(images: Side<'_>, tables: Side<'_>, rules: &CatalogueProfile) -> Vec<String> {
    let (images, tables) = (identities(images, rules), identities(tables, rules));
    let alone = images.len() == 1 && tables.len() == 1;
    let (image_hdus, table_hdus) = (hdus(&images), hdus(&tables));
    let sides = Sides {
        image_name: "a.fit",
        images: &images,
        tables: &tables,
        image_hdus: &image_hdus,
        table_hdus: &table_hdus,
        alone,
    };
    let word = |pair: Pair| match pair {
        Pair::With { image, .. } => images[image].hdu.to_string(),
        Pair::IfPlaced { image, otherwise } => {
            assert_eq!(otherwise.code, "pairing_contradictory");
            format!("{} if placed", images[image].hdu)
        }
        Pair::Apart(reason) => {
            assert!(reason.message.contains("a.fit"), "{}", reason.message);
            reason.code.to_string()
        }
    };
    pair(&sides, rules).into_iter().map(word).collect()
}

fn chip(name: &'static str) -> [(&'static str, &'static str); 1] {
    [("EXTNAME", name)]
}

#[test]
fn names_pair() {
    let rules = CatalogueProfile::default();
    let (one, two, three) = (chip("CHIP1"), chip("CHIP2"), chip(" chip3 "));
    let images: Side<'_> = &[(1, &one), (2, &two), (3, &chip("CHIP3"))];
    assert_eq!(paired(images, &[(1, &two), (2, &three)], &rules), ["2", "3"]);
    assert_eq!(paired(&images[1..], &[(1, &two), (2, &three)], &rules), ["2", "3"]);
    assert_eq!(paired(images, &[(1, &three), (2, &one), (3, &two)], &rules), ["3", "1", "2"]);
    // The image is another one, though the name is of the same kind.
    assert_eq!(paired(&images[..1], &[(1, &two)], &rules), ["no_detector"]);
    assert_eq!(paired(images, &[(1, &two), (2, &two)], &rules), ["pairing_ambiguous"; 2]);
    let unnamed: Side<'_> = &[(1, &three), (3, &[])];
    assert_eq!(paired(images, unnamed, &rules), ["3", "pairing_ambiguous"]);
    let by_place = CatalogueProfile { pair_by: Vec::new(), ..same_hdu() };
    assert_eq!(paired(images, &[(1, &two), (2, &three)], &by_place), ["1", "2"]);
}

#[test]
fn uninformative_names_defer_to_the_position() {
    let rules = same_hdu();
    let (image, table) = (chip("COMPRESSED_IMAGE"), chip("APM-BINARYTABLE"));
    let images: Side<'_> = &[(1, &image), (2, &image)];
    assert_eq!(paired(images, &[(1, &table), (2, &table)], &rules), ["1", "2"]);
    assert_eq!(paired(images, &[(2, &table), (9, &table)], &rules), ["2", "no_detector"]);
    assert_eq!(paired(images, &[(1, &image), (2, &image)], &rules), ["1", "2"]);
    assert_eq!(paired(&[(0, &chip("WSAIMAGE"))], &[(1, &table)], &rules), ["0"]);
    assert_eq!(paired(&[(0, &[])], &[(1, &chip("CHIP2"))], &rules), ["0"]);
    let order = CatalogueProfile { pairing: Pairing::Order, ..rules };
    assert_eq!(paired(images, &[(4, &table), (7, &table)], &order), ["1", "2"]);
    assert_eq!(paired(images, &[(2, &table)], &order), ["pairing_ambiguous"]);
    let three: Side<'_> = &[(1, &table), (2, &table), (3, &table)];
    assert_eq!(paired(images, three, &order), ["pairing_ambiguous"; 3]);
}

#[test]
fn a_keyword_pairs() {
    let rules = CatalogueProfile {
        pairing: Pairing::Keyword("QUADRANT".to_owned()),
        ..CatalogueProfile::default()
    };
    let quadrant = |number: &'static str| [("QUADRANT", number)];
    let images: Side<'_> = &[(1, &quadrant("3")), (2, &quadrant("1")), (4, &quadrant("2"))];
    let tables: Side<'_> =
        &[(1, &quadrant("1")), (2, &quadrant("02")), (3, &quadrant("3")), (4, &quadrant("4"))];
    assert_eq!(paired(images, tables, &rules), ["2", "4", "1", "no_detector"]);
    let tables: Side<'_> = &[(1, &[]), (2, &quadrant("3")), (3, &quadrant("3"))];
    assert_eq!(paired(images, tables, &rules), ["pairing_ambiguous"; 3]);
    let twice: Side<'_> = &[(1, &quadrant("3")), (2, &quadrant("3"))];
    assert_eq!(paired(twice, &[(1, &quadrant("3"))], &rules), ["pairing_ambiguous"]);
    assert_eq!(paired(&[(0, &[])], &[(1, &[])], &rules), ["0"]);
    // Names of HDUs count first.
    let named = |name: &'static str| [("EXTNAME", name), ("QUADRANT", "1")];
    let images: Side<'_> = &[(1, &named("NORTH")), (2, &named("SOUTH"))];
    assert_eq!(paired(images, &[(1, &named("SOUTH"))], &rules), ["2"]);
}

#[test]
fn refused_images_count_for_the_order() {
    let rules = CatalogueProfile::default();
    let images = identities(&[(2, &[]), (3, &[])], &rules);
    let tables = identities(&[(2, &[]), (4, &[]), (6, &[])], &rules);
    let sides = Sides {
        image_name: "a.fit",
        images: &images,
        tables: &tables,
        image_hdus: &[1, 2, 3],
        table_hdus: &[2, 4, 6],
        alone: false,
    };
    let pairs = pair(&sides, &rules);
    let with = |image| Pair::With { image, ground: Ground::Place };
    assert_eq!(pairs[1..], [with(0), with(1)]);
    assert!(matches!(&pairs[0], Pair::Apart(reason) if reason.code == "no_detector"));
}

#[test]
fn names_joined_to_another_word_pair() {
    let rules = CatalogueProfile::default();
    let pairs = |images: [&'static str; 2], tables: [&'static str; 2]| {
        let (images, tables) = (images.map(chip), tables.map(chip));
        paired(&[(1, &images[0]), (2, &images[1])], &[(1, &tables[0]), (2, &tables[1])], &rules)
    };
    assert_eq!(pairs(["ALPHA", "BETA"], ["BETACAT", "ALPHACAT"]), ["2", "1"]);
    assert_eq!(pairs(["ALPHA", "BETA"], ["CATBETA", "CATALPHA"]), ["2", "1"]);
    assert_eq!(pairs(["NE", "NW"], ["NWCAT", "NECAT"]), ["2", "1"]);
    assert_eq!(pairs(["ALPHACCD", "BETACCD"], ["BETA", "ALPHA"]), ["2", "1"]);
    assert_eq!(pairs(["A", "B"], ["BCAT", "ACAT"]), ["2", "1"]);
    // The name that is part of the other one does not count.
    assert_eq!(pairs(["CCD", "CCDB"], ["CCDBCAT", "CCDCAT"]), ["2", "1"]);
    // Coincidences of single letters, and of letters within a word.
    assert_eq!(pairs(["A", "B"], ["BRIGHT", "ALL"]), ["1", "2"]);
    assert_eq!(pairs(["NE", "NW"], ["POINTS", "LINES"]), ["1", "2"]);
    let both = ["pairing_ambiguous", "pairing_ambiguous"];
    assert_eq!(pairs(["ALPHA", "BETA"], ["ALPHABETA", "BETAALPHA"]), both);
    // The number continues: the name is another one.
    assert_eq!(pairs(["CCD1", "CCD2"], ["CCD21CAT", "CCD11CAT"]), ["no_detector"; 2]);
    // A number of the camera contradicts the name.
    let camera = |number: &'static str, name: &'static str| [("CAMNUM", number), ("EXTNAME", name)];
    let images: Side<'_> = &[(1, &camera("1", "ALPHA")), (2, &camera("2", "BETA"))];
    let crossed = camera("1", "BETACAT");
    assert_eq!(paired(images, &[(1, &crossed)], &rules), ["pairing_contradictory"]);
}

#[test]
fn names_that_contain_the_detectors_name_pair() {
    let rules = CatalogueProfile::default();
    let images: Side<'_> = &[(1, &chip("CCD1")), (2, &chip("CCD2")), (3, &chip("CCD12"))];
    let tables: Side<'_> = &[(1, &chip("CCD2_CAT")), (2, &chip("CCD12_CAT"))];
    assert_eq!(paired(images, tables, &rules), ["2", "3"]);
    assert_eq!(paired(&images[..1], &tables[..1], &rules), ["no_detector"]);
    let tables: Side<'_> = &[(1, &chip("CAT.CCD12")), (2, &chip("CAT.CCD4"))];
    assert_eq!(paired(images, tables, &rules), ["3", "no_detector"]);
    let both: Side<'_> = &[(1, &chip("CCD1+CCD2"))];
    assert_eq!(paired(images, both, &rules), ["pairing_ambiguous"]);
    let twice: Side<'_> = &[(1, &chip("CCD2_CAT")), (2, &chip("CCD2_OLD"))];
    assert_eq!(paired(images, twice, &rules), ["pairing_ambiguous"; 2]);
    // The name of the detector is in a keyword that the other file does not have.
    let detector = |name: &'static str| [("DETECTOR", name), ("EXTNAME", "LDAC_OBJECTS")];
    let tables: Side<'_> = &[(1, &detector("CCD2")), (2, &detector("CCD12"))];
    assert_eq!(paired(images, tables, &rules), ["2", "3"]);
    let images: Side<'_> = &[(1, &detector("CCD1")), (2, &detector("CCD2"))];
    assert_eq!(paired(images, &[(1, &chip("CCD2_CAT"))], &rules), ["2"]);
    let camera: Side<'_> = &[(1, &detector("Hawaii 2")), (2, &detector("Hawaii 2"))];
    assert_eq!(paired(camera, &[(2, &detector("VIRGO"))], &same_hdu()), ["2"]);
    // A number of the camera contradicts the name.
    let camera = |number: &'static str, name: &'static str| [("CAMNUM", number), ("EXTNAME", name)];
    let images: Side<'_> = &[(1, &camera("1", "CCD1")), (2, &camera("2", "CCD2"))];
    let crossed = camera("1", "CCD2_CAT");
    assert_eq!(paired(images, &[(1, &crossed)], &rules), ["pairing_contradictory"]);
}

#[test]
fn numbers_in_names_pair_or_contradict() {
    let rules = same_hdu();
    let images: Side<'_> = &[(1, &chip("CCD1")), (2, &chip("CCD2")), (3, &chip("CCD3"))];
    let cats = [chip("CAT0"), chip("CAT1"), chip("CAT2"), chip("CAT3"), chip("CAT4")];
    let tables: Side<'_> = &[(1, &cats[2]), (2, &cats[3])];
    assert_eq!(paired(images, tables, &rules), ["2", "3"]);
    let order = CatalogueProfile { pairing: Pairing::Order, ..rules.clone() };
    assert_eq!(paired(images, tables, &order), ["2", "3"]);
    // Counted from 0, or the first is missing and one too many: the positions decide.
    let placed = ["1 if placed", "2 if placed", "3 if placed"];
    let tables: Side<'_> = &[(1, &cats[0]), (2, &cats[1]), (3, &cats[2])];
    assert_eq!(paired(images, tables, &rules), placed);
    assert_eq!(paired(images, tables, &order), placed);
    let tables: Side<'_> = &[(1, &cats[2]), (2, &cats[3]), (3, &cats[4])];
    assert_eq!(paired(images, tables, &rules), placed);
    // The numbers do not differ by a constant.
    let tables: Side<'_> = &[(1, &cats[0]), (2, &cats[3]), (3, &cats[1])];
    assert_eq!(paired(images, tables, &rules), ["pairing_contradictory"; 3]);
    let tables: Side<'_> = &[(1, &cats[1]), (2, &cats[2]), (3, &cats[3]), (4, &cats[4])];
    assert_eq!(paired(images, tables, &rules), ["1", "2", "3", "no_detector"]);
    assert_eq!(paired(images, &[(1, &cats[3])], &rules), ["pairing_contradictory"]);
    assert_eq!(paired(images, &[(3, &cats[3])], &rules), ["3"]);
    let number = |number: &'static str| [("CCDNUM", number)];
    let tables: Side<'_> = &[(1, &number("2")), (2, &number("3"))];
    assert_eq!(paired(images, tables, &rules), ["2", "3"]);
    let version = |number: &'static str| [("EXTNAME", "SCI"), ("EXTVER", number)];
    let images: Side<'_> = &[(1, &version("1")), (2, &version("2")), (3, &version("3"))];
    assert_eq!(paired(images, tables, &rules), ["2", "3"]);
}

#[test]
fn a_lone_number_of_a_camera_does_not_number_a_detector() {
    let rules = same_hdu();
    let images: Side<'_> = &[(1, &chip("CCD1")), (2, &chip("CCD2")), (3, &chip("CCD3"))];
    let camera = [("DETECTOR", "Hawaii 2"), ("EXTNAME", "CASU-CAT")];
    for hdu in [1, 2, 3] {
        assert_eq!(paired(images, &[(hdu, &camera)], &rules), [hdu.to_string()]);
    }
    let all = |name| [("DETECTOR", "Hawaii 2"), ("EXTNAME", name)];
    let images: Side<'_> = &[(1, &all("CCD1")), (2, &all("CCD2")), (3, &all("CCD3"))];
    assert_eq!(paired(images, &[(3, &camera)], &rules), ["3"]);
    // A name that varies among the images is the detector's.
    let named = |name| [("DETECTOR", name)];
    let images: Side<'_> = &[(1, &named("Hawaii 1")), (2, &named("Hawaii 2"))];
    assert_eq!(paired(images, &[(1, &camera)], &rules), ["2"]);
    // A number in a keyword for numbers, or in the name of the HDU, is the table's own.
    let images: Side<'_> = &[(1, &chip("CCD1")), (2, &chip("CCD2"))];
    assert_eq!(paired(images, &[(1, &[("CCDNUM", "2")])], &rules), ["pairing_contradictory"]);
}

#[test]
fn a_place_that_nothing_confirms() {
    let rules = CatalogueProfile::default();
    let ground = |images: Side<'_>, tables: Side<'_>| {
        let (images, tables) = (identities(images, &rules), identities(tables, &rules));
        let alone = images.len() == 1 && tables.len() == 1;
        let (image_hdus, table_hdus) = (hdus(&images), hdus(&tables));
        let sides = Sides {
            image_name: "a.fit",
            images: &images,
            tables: &tables,
            image_hdus: &image_hdus,
            table_hdus: &table_hdus,
            alone,
        };
        match pair(&sides, &rules)[0] {
            Pair::With { ground, .. } => Some(ground),
            Pair::IfPlaced { .. } | Pair::Apart(_) => None,
        }
    };
    let (one, two) = (chip("CCD1"), chip("CCD2"));
    let named: Side<'_> = &[(1, &one), (2, &two)];
    let unnamed: Side<'_> = &[(1, &[]), (2, &[])];
    let other: Side<'_> = &[(1, &chip("NORTH")), (2, &chip("SOUTH"))];
    assert_eq!(ground(named, unnamed), Some(Ground::PlaceAlone));
    assert_eq!(ground(unnamed, named), Some(Ground::PlaceAlone));
    assert_eq!(ground(named, other), Some(Ground::PlaceAlone));
    assert_eq!(ground(unnamed, unnamed), Some(Ground::Place));
    assert_eq!(ground(named, &[(1, &chip("CAT1")), (2, &chip("CAT2"))]), Some(Ground::Place));
    assert_eq!(ground(&named[..1], &unnamed[..1]), Some(Ground::Place));
    assert_eq!(ground(named, named), Some(Ground::Identity));
}

#[test]
fn numbers_pair() {
    let rules = CatalogueProfile::default();
    let camera = |number: &'static str, name: &'static str| [("CAMNUM", number), ("EXTNAME", name)];
    let image = |number| camera(number, "COMPRESSED_IMAGE");
    let table = |number| camera(number, "CASU-CAT");
    let images: Side<'_> = &[(1, &image("1")), (2, &image("2")), (3, &image("3"))];
    assert_eq!(paired(images, &[(1, &table("2")), (2, &table("03"))], &rules), ["2", "3"]);
    assert_eq!(paired(images, &[(1, &table("4"))], &rules), ["no_detector"]);
    assert_eq!(
        paired(images, &[(1, &table("2")), (2, &table("2"))], &rules),
        ["pairing_ambiguous"; 2]
    );
    // Two keywords name different detectors.
    let images: Side<'_> = &[(1, &camera("1", "CHIP1")), (2, &camera("2", "CHIP2"))];
    let crossed = camera("1", "CHIP2");
    assert_eq!(paired(images, &[(1, &crossed)], &rules), ["pairing_contradictory"]);
    let (right, unknown) = (camera("1", "CHIP1"), camera("9", "CHIP2"));
    assert_eq!(
        paired(images, &[(2, &right), (3, &unknown)], &rules),
        ["1", "pairing_contradictory"]
    );
}

#[test]
fn versions_tell_hdus_of_one_name_apart() {
    let rules = CatalogueProfile::default();
    let hdu = |name: &'static str, version: &'static str| [("EXTNAME", name), ("EXTVER", version)];
    let images: Side<'_> = &[(1, &hdu("SCI", "1")), (2, &hdu("SCI", "2")), (3, &hdu("SCI", "3"))];
    assert_eq!(paired(images, &[(1, &hdu("SCI", "2")), (2, &hdu("SCI", "3"))], &rules), ["2", "3"]);
    assert_eq!(paired(images, &[(1, &hdu("CAT", "2")), (2, &hdu("CAT", "3"))], &rules), ["2", "3"]);
    let dull: Side<'_> = &[(1, &hdu("CHIP1", "1")), (2, &hdu("CHIP2", "1"))];
    assert_eq!(paired(dull, &[(1, &hdu("CHIP2", "1"))], &rules), ["2"]);
}
