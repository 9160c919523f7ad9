//! The assignment of longitude, latitude and projection to the axes.

use super::fault::WcsFault;
use super::keywords::{Cards, Keywords};

/// The celestial system of a header's axes. Returned positions are equatorial in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CelestialSystem {
    /// Right ascension and declination.
    Equatorial,
    /// Galactic longitude and latitude (GLON, GLAT).
    Galactic,
    /// Supergalactic longitude and latitude (SLON, SLAT).
    Supergalactic,
    /// Ecliptic longitude and latitude (ELON, ELAT).
    Ecliptic,
}

/// The pair of celestial axes.
#[derive(Debug)]
pub(super) struct Axes {
    /// Image axis (0 or 1) of the longitude; the other one is the latitude.
    pub(super) longitude: usize,
    pub(super) system: CelestialSystem,
    /// Three-letter projection code.
    pub(super) projection: String,
    /// Distortion code after it, `SIP`. It is sufficient that one axis names it.
    pub(super) distortion: Option<String>,
    /// Keyword that named the projection.
    pub(super) keyword: String,
}

impl Axes {
    pub(super) fn latitude(&self) -> usize {
        1 - self.longitude
    }

    pub(super) fn read<K: Keywords + ?Sized>(cards: &Cards<'_, K>) -> Result<Self, WcsFault> {
        let (keyword, first_text) = cards.axis_type(0)?;
        let (second_keyword, second_text) = cards.axis_type(1)?;
        let first = AxisType::parse(&keyword, &first_text)?;
        let second = AxisType::parse(&second_keyword, &second_text)?;
        if !first.pairs_with(&second) {
            return Err(WcsFault::UnmatchedAxes {
                keyword: second_keyword,
                found: second_text,
                partner: first_text,
            });
        }
        Ok(Self {
            longitude: usize::from(!first.is_longitude),
            system: first.system,
            projection: first.projection,
            distortion: first.distortion.or(second.distortion),
            keyword,
        })
    }
}

/// The parts of one CTYPE: `RA---TAN-SIP`.
struct AxisType {
    is_longitude: bool,
    system: CelestialSystem,
    projection: String,
    distortion: Option<String>,
}

impl AxisType {
    fn parse(keyword: &str, text: &str) -> Result<Self, WcsFault> {
        let not_celestial =
            || WcsFault::NotCelestial { keyword: keyword.to_owned(), found: text.to_owned() };
        let upper = text.to_ascii_uppercase();
        let (name, rest) = upper.split_once('-').ok_or_else(not_celestial)?;
        let (is_longitude, system) = match name {
            "RA" => (true, CelestialSystem::Equatorial),
            "DEC" => (false, CelestialSystem::Equatorial),
            "GLON" => (true, CelestialSystem::Galactic),
            "GLAT" => (false, CelestialSystem::Galactic),
            "SLON" => (true, CelestialSystem::Supergalactic),
            "SLAT" => (false, CelestialSystem::Supergalactic),
            "ELON" => (true, CelestialSystem::Ecliptic),
            "ELAT" => (false, CelestialSystem::Ecliptic),
            _ => return Err(not_celestial()),
        };
        let mut codes = rest.trim_start_matches('-').splitn(2, '-');
        let projection = codes.next().unwrap_or_default().to_owned();
        let distortion = codes.next().map(str::to_owned);
        Ok(Self { is_longitude, system, projection, distortion })
    }

    fn pairs_with(&self, other: &Self) -> bool {
        self.is_longitude != other.is_longitude
            && self.system == other.system
            && self.projection == other.projection
            && (self.distortion.is_none()
                || other.distortion.is_none()
                || self.distortion == other.distortion)
    }
}
