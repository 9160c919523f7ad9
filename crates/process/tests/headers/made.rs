//! Headers made at random: projections, frames, spellings, distortions, dates.

/// Evenly distributed numbers from 0 to 1, the same in every run with the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..10 {
            random.next();
        }
        random
    }

    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next()
    }

    fn chance(&mut self, share: f64) -> bool {
        self.next() < share
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[(self.next() * list.len() as f64) as usize]
    }

    fn whole(&mut self, low: u32, high: u32) -> u32 {
        low + (self.next() * f64::from(high - low + 1)) as u32
    }
}

/// A header as cards, with what is known of the foreign positions.
#[derive(Debug, Default)]
pub struct Made {
    pub cards: Vec<String>,
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// Astropy has positions in single precision.
    pub single: bool,
}

impl Made {
    /// The header as the foreign program gets it.
    pub fn question(&self) -> String {
        let (width, height) = self.size;
        let size = format!("NAXIS1  = {width:>20}\nNAXIS2  = {height:>20}");
        format!("{size}\n{}\nEND\n", self.cards.join("\n"))
    }

    fn number(&mut self, keyword: &str, value: f64) {
        let text = format!("{value:?}");
        let text = if text.contains('e') { format!("{value:.16E}") } else { text };
        self.cards.push(format!("{keyword:<8}= {text:>20}"));
    }

    fn integer(&mut self, keyword: &str, value: u32) {
        self.cards.push(format!("{keyword:<8}= {value:>20}"));
    }

    fn text(&mut self, keyword: &str, value: &str) {
        self.cards.push(format!("{keyword:<8}= {:<20}", format!("'{value:<8}'")));
    }
}

const ZENITHAL: [&str; 7] = ["TAN", "SIN", "ARC", "STG", "ZEA", "ZPN", "NCP"];
const SLANT: [&str; 3] = ["AZP", "SZP", "AIR"];
const FLAT: [&str; 19] = [
    "CAR", "CEA", "MER", "CYP", "SFL", "GLS", "PAR", "MOL", "AIT", "COE", "COD", "COO", "BON",
    "PCO", "TSC", "CSC", "QSC", "HPX", "XPH",
];

/// One header. The same seed makes the same.
pub fn header(random: &mut Random) -> Made {
    let size = (random.whole(2, 2048) as usize, random.whole(2, 2048) as usize);
    let mut made = Made { size, ..Made::default() };
    coordinates(random, &mut made);
    frame(random, &mut made);
    start(random, &mut made);
    made
}

/// Image axes and what belongs to them.
struct Plan {
    projection: &'static str,
    suffix: &'static str,
    /// Pixel size in degrees.
    scale: f64,
    latitude_first: bool,
    latitude_deg: f64,
    /// TPV: wcslib applies the polynomials before CDELT and the units, and is right with a CD matrix in degrees alone.
    tpv: bool,
}

fn coordinates(random: &mut Random, made: &mut Made) {
    let kind = random.next();
    let (projection, suffix) = if kind < 0.45 {
        distortion(random, made)
    } else if kind < 0.68 {
        (*random.of(&ZENITHAL), "")
    } else if kind < 0.75 {
        (*random.of(&SLANT), "")
    } else {
        (*random.of(&FLAT), "")
    };
    made.single = projection == "CSC";
    let plain = kind >= 0.45;
    let latitude_deg = match random.next() {
        _ if matches!(projection, "COE" | "COD" | "COO" | "BON") => random.between(-70.0, 80.0),
        v if v < 0.1 => 0.0,
        v if v < 0.15 && ZENITHAL.contains(&projection) => 90.0,
        v if v < 0.2 && ZENITHAL.contains(&projection) => -89.999,
        _ => random.between(-80.0, 80.0),
    };
    let plan = Plan {
        projection,
        suffix,
        scale: 10f64.powf(random.between(-5.0, -3.5)),
        latitude_first: plain && random.chance(0.1),
        latitude_deg,
        tpv: !plain && suffix.is_empty() && made.cards.iter().any(|card| card.starts_with("PV")),
    };
    axes(random, made, &plan);
    matrix(random, made, &plan);
    parameters(random, made, &plan, plain);
}

fn axes(random: &mut Random, made: &mut Made, plan: &Plan) {
    let pairs =
        [("RA--", "DEC-"), ("GLON", "GLAT"), ("ELON", "ELAT"), ("SLON", "SLAT"), ("HLON", "HLAT")];
    let pair = match random.next() {
        v if v < 0.74 => pairs[0],
        v if v < 0.84 => pairs[1],
        v if v < 0.93 => pairs[2],
        v if v < 0.98 => pairs[3],
        _ => pairs[4],
    };
    let unit = match random.next() {
        v if v < 0.6 || plan.tpv => None,
        v if v < 0.8 => Some(("deg", 1.0)),
        v if v < 0.85 => Some(("DEG", 1.0)),
        v if v < 0.9 => Some(("arcsec", 3600.0)),
        v if v < 0.95 => Some(("arcmin", 60.0)),
        _ => Some(("rad", 1f64.to_radians())),
    };
    let factor = unit.map_or(1.0, |(_, factor)| factor);
    let (lon, lat) = (random.between(0.0, 360.0) * factor, plan.latitude_deg * factor);
    let code = format!("-{}{}", plan.projection, plan.suffix);
    let (first, second) = if plan.latitude_first { (lat, lon) } else { (lon, lat) };
    let (one, two) = if plan.latitude_first { (pair.1, pair.0) } else { pair };
    made.text("CTYPE1", &format!("{one}{code}"));
    made.text("CTYPE2", &format!("{two}{code}"));
    made.number("CRVAL1", first);
    made.number("CRVAL2", second);
    made.number("CRPIX1", random.between(-1000.0, 3000.0));
    made.number("CRPIX2", random.between(-1000.0, 3000.0));
    if let Some((unit, _)) = unit {
        made.text("CUNIT1", unit);
        made.text("CUNIT2", unit);
        // The matrix is in the same unit.
        made.number("FACTOR", factor);
    }
}

/// Takes the factor that the reference position left as the last card: the unit of the matrix, in units per degree.
fn unit_of_matrix(made: &mut Made) -> f64 {
    let card = made.cards.pop_if(|card| card.starts_with("FACTOR"));
    card.and_then(|card| card[10..].trim().parse().ok()).unwrap_or(1.0)
}

/// The matrix in one of its spellings, rotated at random and mirrored as often as not.
fn matrix(random: &mut Random, made: &mut Made, plan: &Plan) {
    let unit = unit_of_matrix(made);
    let scale = plan.scale * unit;
    let step = [if random.chance(0.5) { -scale } else { scale }, scale * random.between(0.8, 1.2)];
    let (sin, cos) = random.between(0.0, std::f64::consts::TAU).sin_cos();
    let skew = random.between(-0.05, 0.05);
    let pc = [[cos, -sin + skew], [sin, cos]];
    let elements = |random: &mut Random, made: &mut Made, stem: &str, scaled: bool, digits: u32| {
        for (row, line) in pc.iter().enumerate() {
            for (column, value) in line.iter().enumerate() {
                let value = if scaled { value * step[row] } else { *value };
                let (row, column) = (row + 1, column + 1);
                let keyword = match digits {
                    1 => format!("{stem}{row}_{column}"),
                    2 => format!("{stem}{row:02}_{column:02}"),
                    _ => format!("{stem}{row:03}{column:03}"),
                };
                made.number(&keyword, value);
            }
        }
        let _ = random;
    };
    let cdelt = |made: &mut Made| {
        made.number("CDELT1", step[0]);
        made.number("CDELT2", step[1]);
    };
    let latitude = if plan.latitude_first { 1 } else { 2 };
    let crota = format!("CROTA{latitude}");
    let angle = random.between(-180.0, 360.0);
    let spelling = if plan.tpv { random.whole(0, 3) } else { random.whole(0, 11) };
    match spelling {
        0 | 1 => elements(random, made, "CD", true, 1),
        2 => elements(random, made, "CD", true, 2),
        3 => elements(random, made, "CD", true, 3),
        4 => {
            cdelt(made);
            elements(random, made, "PC", false, 1);
        }
        5 => {
            cdelt(made);
            elements(random, made, "PC", false, 3);
        }
        6 => {
            elements(random, made, "PC", false, 2);
            cdelt(made);
        }
        7 => {
            cdelt(made);
            made.number(&crota, angle);
        }
        8 => {
            elements(random, made, "CD", true, 1);
            cdelt(made);
            made.number(&crota, angle);
        }
        9 => {
            cdelt(made);
            elements(random, made, "PC", false, 3);
            made.number(&crota, angle);
        }
        10 => {
            cdelt(made);
            elements(random, made, "PC", false, 1);
            elements(random, made, "CD", true, 1);
        }
        _ => {
            cdelt(made);
            if random.chance(0.5) {
                made.number(&format!("CROTA{}", 3 - latitude), angle);
            }
        }
    }
}

/// Parameters of the projection and of its native sphere.
fn parameters(random: &mut Random, made: &mut Made, plan: &Plan, plain: bool) {
    let latitude = if plan.latitude_first { 1 } else { 2 };
    let pv = |m: u32| format!("PV{latitude}_{m}");
    match plan.projection {
        "ZPN" if random.chance(0.3) => {
            made.number("PROJP1", 1.0);
            made.number("PROJP3", random.between(-60.0, 60.0));
        }
        "ZPN" => {
            made.number(&pv(1), 1.0);
            made.number(&pv(3), random.between(-60.0, 60.0));
            if random.chance(0.5) {
                made.number(&format!("PV{latitude:02}_05"), random.between(-100.0, 100.0));
            }
        }
        "SIN" if random.chance(0.4) => {
            made.number(&pv(1), random.between(-0.4, 0.4));
            made.number(&pv(2), random.between(-0.4, 0.4));
        }
        "CEA" if random.chance(0.5) => made.number(&pv(1), random.between(0.3, 1.0)),
        "CYP" if random.chance(0.5) => {
            made.number(&pv(1), random.between(0.5, 2.0));
            made.number(&pv(2), random.between(0.5, 1.0));
        }
        "AZP" => {
            made.number(&pv(1), random.between(-0.5, 3.0));
            made.number(&pv(2), random.between(-40.0, 40.0));
        }
        "SZP" if random.chance(0.8) => {
            made.number(&pv(1), random.between(-0.5, 3.0));
            made.number(&pv(2), random.between(-180.0, 180.0));
            made.number(&pv(3), random.between(30.0, 90.0));
        }
        "AIR" if random.chance(0.7) => made.number(&pv(1), random.between(-60.0, 90.0)),
        "HPX" if random.chance(0.3) => {
            made.number(&pv(1), 6.0);
            made.number(&pv(2), 3.0);
        }
        "COE" | "COD" | "COO" | "BON" => {
            let sign = if random.chance(0.5) { 1.0 } else { -1.0 };
            made.number(&pv(1), sign * random.between(25.0, 60.0));
            if plan.projection != "BON" && random.chance(0.7) {
                made.number(&pv(2), random.between(5.0, 25.0));
            }
        }
        _ => {}
    }
    if random.chance(0.15) {
        made.number("LONPOLE", random.between(-180.0, 180.0));
    }
    if random.chance(0.1) {
        made.number("LATPOLE", random.between(-90.0, 90.0));
    }
    if plain && random.chance(0.08) {
        let longitude = 3 - latitude;
        made.number(&format!("PV{longitude}_3"), random.between(-180.0, 180.0));
    }
}

/// A tangent plane with distortions of one or two kinds; the projection and its suffix.
fn distortion(random: &mut Random, made: &mut Made) -> (&'static str, &'static str) {
    let sip = |random: &mut Random, made: &mut Made| {
        made.integer("A_ORDER", 3);
        made.integer("B_ORDER", 2);
        for keyword in ["A_2_0", "A_1_1", "A_0_2", "B_2_0", "B_1_1", "B_0_2"] {
            made.number(keyword, random.between(-1e-6, 1e-6));
        }
        made.number("A_0_3", random.between(-1e-10, 1e-10));
    };
    let tpv = |random: &mut Random, made: &mut Made| {
        for axis in [1, 2] {
            let sizes = [
                (0, 1e-3),
                (1, 0.01),
                (2, 0.01),
                (4, 1e-3),
                (5, 1e-3),
                (6, 1e-3),
                (7, 0.01),
                (10, 0.01),
            ];
            for (m, size) in sizes {
                let own = if m == 1 { 1.0 } else { 0.0 };
                made.number(&format!("PV{axis}_{m}"), own + random.between(-size, size));
            }
        }
    };
    match random.whole(0, 8) {
        0 => {
            sip(random, made);
            ("TAN", "-SIP")
        }
        1 => {
            sip(random, made);
            ("TAN", "")
        }
        2 => {
            tpv(random, made);
            ("TPV", "")
        }
        3 => {
            tpv(random, made);
            ("TAN", "")
        }
        4 => {
            tpv(random, made);
            sip(random, made);
            ("TPV", "")
        }
        5 => {
            tpv(random, made);
            sip(random, made);
            ("TAN", "")
        }
        6 => {
            sip(random, made);
            tpv(random, made);
            ("TAN", "-SIP")
        }
        7 => {
            if random.chance(0.5) {
                made.integer("A_ORDER", 2);
                made.number("A_2_0", 1e-6);
            }
            ("TAN", "-SIP")
        }
        _ => ("TAN", ""),
    }
}

fn frame(random: &mut Random, made: &mut Made) {
    let system = match random.next() {
        v if v < 0.35 => None,
        v if v < 0.55 => Some("FK5"),
        v if v < 0.75 => Some("FK4"),
        v if v < 0.83 => Some("FK4-NO-E"),
        v if v < 0.95 => Some("ICRS"),
        _ => Some("GAPPT"),
    };
    if let Some(name) = system {
        made.text(if random.chance(0.3) { "RADECSYS" } else { "RADESYS" }, name);
    }
    if random.chance(0.6) {
        let equinox = *random.of(&[1950.0, 2000.0, 1975.0, 1984.0, 1983.9, 2015.5, 1900.0]);
        made.number(if random.chance(0.3) { "EPOCH" } else { "EQUINOX" }, equinox);
    }
}

/// The start of the observation in one of its spellings.
fn start(random: &mut Random, made: &mut Made) {
    let scales = ["UTC", "TAI", "TT", "TDT", "ET", "GPS", "TDB", "TCG", "TCB", "UT1", "LOCAL"];
    if random.chance(0.6) {
        let scale = *random.of(&scales);
        made.text("TIMESYS", scale);
    }
    let style = random.whole(0, 14);
    let years = if style == 3 { (1973, 1999) } else { (1973, 2025) };
    let (year, month, day) =
        (random.whole(years.0, years.1), random.whole(1, 12), random.whole(1, 28));
    let iso = format!("{year}-{month:02}-{day:02}");
    // Away from midnight, where a leap second may lie.
    let hour = random.whole(1, 22);
    let clock =
        format!("{hour:02}:{:02}:{:06.3}", random.whole(0, 59), random.between(0.0, 59.999));
    let mjd = random.between(42_000.0, 60_000.0);
    match style {
        0 | 1 => made.text("DATE-OBS", &format!("{iso}T{clock}")),
        2 => {
            made.text("DATE-OBS", &iso);
            made.text("TIME-OBS", &clock);
        }
        3 => {
            made.text("DATE-OBS", &format!("{day:02}/{month:02}/{:02}", year % 100));
            made.text("TIME-OBS", &clock);
        }
        4 => {
            made.text("DATE-OBS", &iso);
            made.text(if random.chance(0.5) { "UT" } else { "UTC-OBS" }, &clock);
        }
        5 => {
            made.text("DATE-OBS", &iso);
            made.number("UTSTART", random.between(1.0, 23.0));
        }
        6 => made.number("MJD-OBS", mjd),
        7 => {
            made.text("DATE-OBS", &iso);
            made.number("JD-OBS", mjd + 2_400_000.5);
        }
        8 => made.text("DATE-BEG", &format!("{iso}T{clock}")),
        9 => made.text("DATE-OBS", &iso),
        10 => made.text("DATE-OBS", &format!("{iso} {clock}")),
        11 => made.number("JEPOCH", random.between(1973.0, 2025.0)),
        12 => made.number("BEPOCH", random.between(1973.0, 2025.0)),
        13 => {
            made.text("DATE-OBS", &format!("{iso}T00:00:00"));
            made.text("UT", &clock);
        }
        _ => {
            made.text("DATE-OBS", &format!("{iso}T{clock}"));
            made.text("TIME-OBS", "00:00:00");
        }
    }
}
