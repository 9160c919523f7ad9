//! The programmes of a night, their targets and filters.

use crate::camera::centre_offset_deg;

/// A filter of WFCAM in the simulated night.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filter {
    /// FILTER card.
    pub name: &'static str,
    /// PV2_3 of the astrometric solution.
    pub pv2_3: f64,
    /// Sky in ADU per pixel and second.
    pub(crate) sky_adu_s: f64,
    /// Zero point of the night, mag for 1 ADU/s.
    pub(crate) zero_point: f64,
}

const fn filter(name: &'static str, pv2_3: f64, sky_adu_s: f64, zero_point: f64) -> Filter {
    Filter { name, pv2_3, sky_adu_s, zero_point }
}

/// All filters, broad bands first.
pub const FILTERS: [Filter; 7] = [
    filter("Z", -44.0, 9.0, 22.79),
    filter("Y", -45.0, 22.0, 22.75),
    filter("J", -46.0, 105.0, 22.97),
    filter("H", -50.0, 540.0, 23.21),
    filter("K", -60.0, 687.0, 22.546),
    filter("1-0S1", -60.0, 41.0, 19.3),
    filter("BGamma", -60.0, 45.0, 19.4),
];

impl Filter {
    /// Returns the filter with a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FILTERS.iter().find(|filter| filter.name == name)
    }
}

/// The target of a programme.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    /// A position in degrees; further pointings are next to it.
    At(f64, f64),
    /// RA 0 runs through the western detectors.
    AcrossRaZero(f64),
    /// The celestial pole is in the gap north of the camera's centre.
    Pole(f64),
}

/// A survey or project with time in the night.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Programme {
    /// Short name.
    pub name: &'static str,
    /// PROJECT card.
    pub project: &'static str,
    /// Its filters, by name.
    pub(crate) filters: &'static [&'static str],
    /// True for 3 times the usual number of sources, in the galactic plane.
    pub(crate) crowded: bool,
    /// True for frames interleaved from 2 x 2 microsteps.
    pub(crate) microstepped: bool,
    /// Beginning of the names of its targets.
    pub(crate) object: &'static str,
    target: Target,
}

/// The programmes of a night, in the order in which a short night uses them.
pub const PROGRAMMES: [Programme; 7] = [
    Programme {
        name: "GPS",
        project: "U/UKIDSS/GPS5",
        filters: &["K", "H", "J"],
        crowded: true,
        microstepped: true,
        object: "gps_l36_",
        target: Target::At(284.1, 2.6),
    },
    Programme {
        name: "LAS",
        project: "U/UKIDSS/LAS",
        filters: &["K", "J", "Y", "H"],
        crowded: false,
        microstepped: false,
        object: "las_00h",
        target: Target::AcrossRaZero(0.8),
    },
    Programme {
        name: "CAL",
        project: "UKIRTCAL",
        filters: &["K", "J"],
        crowded: false,
        microstepped: false,
        object: "polar_standards_",
        target: Target::Pole(37.9),
    },
    Programme {
        name: "GCS",
        project: "U/UKIDSS/GCS21",
        filters: &["J", "K", "Z", "H"],
        crowded: false,
        microstepped: true,
        object: "TaurusAuriga:12_",
        target: Target::At(83.9, 21.8),
    },
    Programme {
        name: "07B12",
        project: "u/07b/12",
        filters: &["K", "1-0S1", "BGamma"],
        crowded: false,
        microstepped: false,
        object: "DR21_",
        target: Target::At(309.75, 42.4),
    },
    Programme {
        name: "DXS",
        project: "U/UKIDSS/DXS",
        filters: &["J", "K"],
        crowded: false,
        microstepped: false,
        object: "sa22_",
        target: Target::At(334.3, 0.3),
    },
    Programme {
        name: "UDS",
        project: "U/UKIDSS/UDS",
        filters: &["K", "H", "J"],
        crowded: false,
        microstepped: false,
        object: "uds_",
        target: Target::At(34.5, -5.1),
    },
];

impl Programme {
    /// Returns the programme with a short name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROGRAMMES.iter().find(|programme| programme.name == name)
    }

    /// Returns the centre of the camera in degrees for its n-th pointing.
    pub(crate) fn pointing(&self, n: usize, size: usize) -> [f64; 2] {
        let step = 4.2 * centre_offset_deg(size) * n as f64;
        match self.target {
            Target::At(ra, dec) => [(ra + step / dec.to_radians().cos()) % 360.0, dec],
            // Every second pointing is across RA 0, the others north of it.
            Target::AcrossRaZero(dec) => {
                let dec = dec + 4.2 * centre_offset_deg(size) * (n / 2) as f64;
                let east = if n.is_multiple_of(2) { 1.0 } else { 5.2 };
                [east * centre_offset_deg(size) / dec.to_radians().cos(), dec]
            }
            Target::Pole(ra) => {
                let turned = (ra + 75.0 * n as f64) % 360.0;
                [turned, 90.0 - centre_offset_deg(size)]
            }
        }
    }
}
