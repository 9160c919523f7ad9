//! Catalogues whose tables once went to the wrong chip of an image. A new one is an entry of [`cases`].

use crate::pair;
use crate::plain::profile;
use fits::write::{Checks, Column, HeaderBuilder, Pixels, Place, Values};

/// Cards that name an HDU.
type Names = &'static [(&'static str, &'static str)];

/// An image of three chips and its catalogue.
#[derive(Default)]
struct Case {
    name: &'static str,
    /// The names of the three chips.
    images: [Names; 3],
    /// The tables of the catalogue: number of the chip that they are of, and their names.
    tables: Vec<(usize, Names)>,
    /// The tables have RA and DEC.
    placed: bool,
    /// Each table is followed by a list of standard stars with the name of the chip.
    standards: bool,
    /// Each table follows one of the image's header, as in FITS_LDAC files.
    headers: bool,
    /// Rows by extension number and magnitude.
    right: Vec<((i16, &'static str), usize)>,
    refusals: Vec<&'static str>,
    /// How often a place in the file is noted as the only reason of a pair.
    by_place: usize,
    /// How often another numbering is noted that the positions decided.
    renumbered: usize,
    /// The three chips have the same WCS.
    one_wcs: bool,
    /// The chips have no WCS, and the tables have one of their X and Y columns.
    wcs_of_tables: bool,
}

const NAMED: [Names; 3] = [&[("EXTNAME", "CCD1")], &[("EXTNAME", "CCD2")], &[("EXTNAME", "CCD3")]];
const DETECTORS: [Names; 3] =
    [&[("DETECTOR", "CCD1")], &[("DETECTOR", "CCD2")], &[("DETECTOR", "CCD3")]];
const NAMELESS: [Names; 3] = [&[]; 3];
/// Magnitudes are MAGZPT + 2.5 log10(10 s) - 2.5 log10(1000), with zero points of 23, 24 and 25.
const FIRST: ((i16, &str), usize) = ((2, "18.000"), 10);
const SECOND: ((i16, &str), usize) = ((3, "19.000"), 10);
const THIRD: ((i16, &str), usize) = ((4, "20.000"), 10);

/// Tables with equal names, in any order and with chips missing.
fn equal_names() -> Vec<Case> {
    let case = |name, tables: &[usize], right: &[_]| Case {
        name,
        images: NAMED,
        tables: tables.iter().map(|chip| (*chip, NAMED[chip - 1])).collect(),
        placed: true,
        right: right.to_vec(),
        ..Case::default()
    };
    vec![
        case("first_chip_absent", &[2, 3], &[SECOND, THIRD]),
        case("middle_chip_absent", &[1, 3], &[FIRST, THIRD]),
        case("chips_in_another_order", &[3, 1, 2], &[FIRST, SECOND, THIRD]),
    ]
}

/// Tables without RA and DEC, whose first chip is absent.
fn related_names() -> Vec<Case> {
    let case = |name, images, second, third| Case {
        name,
        images,
        tables: vec![(2, second), (3, third)],
        right: vec![SECOND, THIRD],
        ..Case::default()
    };
    vec![
        case("suffixed", NAMED, &[("EXTNAME", "CCD2_CAT")], &[("EXTNAME", "CCD3_CAT")]),
        case("prefixed", NAMED, &[("EXTNAME", "cat.ccd2")], &[("EXTNAME", "cat.ccd3")]),
        case("detector_of_the_table", NAMED, DETECTORS[1], DETECTORS[2]),
        case("detector_of_the_image", DETECTORS, NAMED[1], NAMED[2]),
        case(
            "detector_of_the_image_suffixed",
            DETECTORS,
            &[("EXTNAME", "CCD2_CAT")],
            &[("EXTNAME", "CCD3_CAT")],
        ),
        case("numbered", NAMED, &[("EXTNAME", "CAT02")], &[("EXTNAME", "CAT03")]),
        case("numbered_by_keyword", NAMED, &[("CCDNUM", "2")], &[("CCDNUM", "3")]),
    ]
}

/// Tables whose names join the name of the chip to other letters, in another order than the images.
fn joined_names() -> Vec<Case> {
    let case = |name, images, second, third, first| Case {
        name,
        images,
        tables: vec![(2, second), (3, third), (1, first)],
        right: vec![FIRST, SECOND, THIRD],
        ..Case::default()
    };
    const GREEK: [Names; 3] =
        [&[("EXTNAME", "ALPHA")], &[("EXTNAME", "BETA")], &[("EXTNAME", "GAMMA")]];
    const CORNERS: [Names; 3] = [&[("EXTNAME", "NE")], &[("EXTNAME", "NW")], &[("EXTNAME", "SE")]];
    let (beta, gamma, alpha): (Names, Names, Names) =
        (&[("EXTNAME", "BETACAT")], &[("EXTNAME", "GAMMACAT")], &[("EXTNAME", "ALPHACAT")]);
    let (cat_beta, cat_gamma, cat_alpha): (Names, Names, Names) =
        (&[("EXTNAME", "CATBETA")], &[("EXTNAME", "CATGAMMA")], &[("EXTNAME", "CATALPHA")]);
    let (nw, se, ne): (Names, Names, Names) =
        (&[("EXTNAME", "NWCAT")], &[("EXTNAME", "SECAT")], &[("EXTNAME", "NECAT")]);
    vec![
        case("joined_after", GREEK, beta, gamma, alpha),
        case("joined_before", GREEK, cat_beta, cat_gamma, cat_alpha),
        case("joined_to_two_letters", CORNERS, nw, se, ne),
        Case {
            tables: vec![(1, &[("EXTNAME", "ALPHABETA")]), (3, gamma), (2, beta)],
            right: vec![SECOND, THIRD],
            refusals: vec!["pairing_ambiguous"],
            ..case("joined_to_two_names", GREEK, beta, gamma, alpha)
        },
    ]
}

/// Tables of these chips that all have one name.
fn objects(chips: &[usize]) -> Vec<(usize, Names)> {
    const OBJECTS: Names = &[("EXTNAME", "LDAC_OBJECTS")];
    chips.iter().map(|chip| (*chip, OBJECTS)).collect()
}

fn cases() -> Vec<Case> {
    let mut cases = equal_names();
    cases.extend(related_names());
    cases.extend(joined_names());
    let case = |name, images, tables: &[_], right: &[_]| Case {
        name,
        images,
        tables: tables.to_vec(),
        right: right.to_vec(),
        ..Case::default()
    };
    let all = [FIRST, SECOND, THIRD];
    let unnamed: [(usize, Names); 3] = [(1, &[]), (2, &[]), (3, &[])];
    let named = [(1, NAMED[0]), (2, NAMED[1]), (3, NAMED[2])];
    let suffixed: [(usize, Names); 3] = [
        (1, &[("EXTNAME", "CCD1_CAT")]),
        (2, &[("EXTNAME", "CCD2_CAT")]),
        (3, &[("EXTNAME", "CCD3_CAT")]),
    ];
    let numbered: [(usize, Names); 3] =
        [(1, &[("EXTNAME", "CAT0")]), (2, &[("EXTNAME", "CAT1")]), (3, &[("EXTNAME", "CAT2")])];
    let shuffled = [(2, numbered[0].1), (3, numbered[1].1), (1, numbered[2].1)];
    cases.extend([
        Case { by_place: 3, ..case("names_of_the_image_alone", NAMED, &unnamed, &all) },
        Case { by_place: 3, ..case("names_of_the_catalogue_alone", NAMELESS, &named, &all) },
        Case { placed: true, ..case("names_of_one_side_and_positions", NAMED, &unnamed, &all) },
        case("no_names", NAMELESS, &unnamed, &all),
        Case { standards: true, ..case("standards_beside", NAMED, &suffixed, &all) },
        Case {
            by_place: 3,
            headers: true,
            ..case("headers_between", NAMED, &objects(&[1, 2, 3]), &all)
        },
        Case {
            refusals: vec!["pairing_ambiguous"; 2],
            ..case("fewer_tables_than_images", NAMED, &objects(&[2, 3]), &[])
        },
        Case {
            headers: true,
            refusals: vec!["pairing_ambiguous"; 2],
            ..case("fewer_tables_and_headers", NAMED, &objects(&[2, 3]), &[])
        },
        Case {
            refusals: vec!["pairing_ambiguous"; 4],
            ..case("more_tables_than_images", NAMED, &objects(&[1, 2, 3, 3]), &[])
        },
        Case {
            refusals: vec!["pairing_ambiguous"; 2],
            ..case("fewer_tables_without_names", NAMELESS, &[(2, &[]), (3, &[])], &[])
        },
        Case {
            refusals: vec!["pairing_contradictory"; 3],
            ..case("numbers_that_contradict", NAMED, &numbered, &[])
        },
        Case {
            placed: true,
            renumbered: 3,
            ..case("numbers_from_0_and_positions", NAMED, &numbered, &all)
        },
        Case {
            placed: true,
            refusals: vec!["pairing_contradictory"; 3],
            ..case("numbers_from_0_and_positions_of_others", NAMED, &shuffled, &[])
        },
        Case {
            placed: true,
            one_wcs: true,
            refusals: vec!["pairing_contradictory"; 3],
            ..case("numbers_from_0_and_one_wcs", NAMED, &numbered, &[])
        },
        Case {
            placed: true,
            wcs_of_tables: true,
            refusals: vec!["pairing_contradictory"; 3],
            ..case("numbers_from_0_and_wcs_of_tables", NAMED, &numbered, &[])
        },
    ]);
    cases
}

/// Chip N looks at RA 120 + N / 5, Dec 29.
fn ra_of(case: &Case, chip: usize) -> f64 {
    120.0 + 0.2 * if case.one_wcs { 1.0 } else { chip as f64 }
}

fn name(header: &mut HeaderBuilder, names: Names) {
    for (keyword, value) in names {
        header.text(keyword, value, "");
    }
}

fn image_of(case: &Case) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut header = HeaderBuilder::new();
    header.text("OBSTYPE", "OBJECT", "").text("PROJECT", "HUNT", "");
    header.number("EXPTIME", 10.0, "").number("MJD-OBS", 60_681.127_835_6, "");
    fits::write::primary(&mut bytes, &header, Checks::Absent).unwrap();
    for (n, names) in case.images.iter().enumerate() {
        let mut header = HeaderBuilder::new();
        name(&mut header, names);
        header.number("MAGZPT", 23.0 + n as f64, "");
        if !case.wcs_of_tables {
            header.text("CTYPE1", "RA---TAN", "").text("CTYPE2", "DEC--TAN", "");
            header.number("CRVAL1", ra_of(case, n + 1), "").number("CRVAL2", 29.0, "");
            header.number("CRPIX1", 20.5, "").number("CRPIX2", 10.5, "");
            header.number("CD1_1", -0.0005, "").number("CD1_2", 0.0, "");
            header.number("CD2_1", 0.0, "").number("CD2_2", 0.0005, "");
        }
        let pixels = vec![0_i16; 60 * 40];
        let (axes, pixels) = ([60, 40], Pixels::I16(&pixels));
        let place = Place::Extension;
        fits::write::image(&mut bytes, place, &axes, pixels, &header, Checks::Absent).unwrap();
    }
    bytes
}

/// Ten rows at the reference pixel of each chip.
fn catalogue_of(case: &Case) -> Vec<u8> {
    let mut bytes = Vec::new();
    fits::write::primary(&mut bytes, &HeaderBuilder::new(), Checks::Absent).unwrap();
    for (chip, names) in &case.tables {
        if case.headers {
            let mut header = HeaderBuilder::new();
            header.text("EXTNAME", "LDAC_IMHEAD", "");
            let column = Column { name: "Field", unit: "", values: Values::F32(&[*chip as f32]) };
            fits::write::bin_table(&mut bytes, 1, &[column], &header, Checks::Absent).unwrap();
        }
        let numbers: Vec<f32> = (1..=10_u8).map(f32::from).collect();
        let (ra, dec) = ([ra_of(case, *chip).to_radians(); 10], [29.0_f64.to_radians(); 10]);
        let mut columns = vec![
            ("Sequence_number", "", Values::F32(&numbers)),
            ("Isophotal_flux", "", Values::F32(&[1000.0; 10])),
            ("X_coordinate", "", Values::F32(&[20.5; 10])),
            ("Y_coordinate", "", Values::F32(&[10.5; 10])),
            ("Aper_flux_3", "", Values::F32(&[1000.0; 10])),
        ];
        if case.placed {
            columns.push(("RA", "RADIANS", Values::F64(&ra)));
            columns.push(("DEC", "RADIANS", Values::F64(&dec)));
        }
        let columns = columns.into_iter();
        let columns: Vec<Column<'_>> =
            columns.map(|(name, unit, values)| Column { name, unit, values }).collect();
        let mut header = HeaderBuilder::new();
        name(&mut header, names);
        if case.wcs_of_tables {
            header.text("TCTYP3", "RA---TAN", "").text("TCTYP4", "DEC--TAN", "");
            header.number("TCRVL3", ra_of(case, *chip), "").number("TCRVL4", 29.0, "");
            header.number("TCRPX3", 20.5, "").number("TCRPX4", 10.5, "");
            header.number("TC3_3", -0.0005, "").number("TC3_4", 0.0, "");
            header.number("TC4_3", 0.0, "").number("TC4_4", 0.0005, "");
        }
        fits::write::bin_table(&mut bytes, 10, &columns, &header, Checks::Absent).unwrap();
        if case.standards {
            let mut header = HeaderBuilder::new();
            header.text("EXTNAME", &format!("CCD{chip}_STD"), "");
            let column = Column { name: "Jmag", unit: "", values: Values::F32(&numbers) };
            fits::write::bin_table(&mut bytes, 10, &[column], &header, Checks::Absent).unwrap();
        }
    }
    bytes
}

#[test]
fn rows_belong_to_the_chip_of_their_name() {
    for case in cases() {
        let outcome = pair::run(&profile(), &image_of(&case), &catalogue_of(&case));
        assert_eq!(outcome.metadata.refusals, [], "{}", case.name);
        let refusals: Vec<&str> =
            outcome.report.refusals.iter().map(|refusal| refusal.code.as_str()).collect();
        assert_eq!(refusals, case.refusals, "{}: {:?}", case.name, outcome.report.refusals);
        let count = |code| outcome.report.findings.iter().filter(|f| f.code == code).count();
        assert_eq!(count("pairing_by_position"), case.by_place, "{}", case.name);
        assert_eq!(count("pairing_renumbered"), case.renumbered, "{}", case.name);
        let right =
            case.right.iter().map(|((ext_num, mag), rows)| ((*ext_num, (*mag).into()), *rows));
        assert_eq!(outcome.counts("aper_mag_no_aper_corr3"), right.collect(), "{}", case.name);
    }
}
