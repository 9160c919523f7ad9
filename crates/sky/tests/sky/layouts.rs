//! Orientations of the four cameras of WFCAM, and pictures of several detectors.

use sky::{Detector, Layout, PixelSize, SkyPosition, Transform, Wcs};

use crate::cards::Cards;
use crate::footprints::DETECTOR;
use crate::headers::{tangent, wfcam};

/// CD matrices of four cameras, each rotated by 90 degrees to the next and mirrored with respect to the sky as
/// WFCAM's are, or not; with the transform that shows them north up and east left.
const CAMERAS: [([[f64; 2]; 2], &str); 8] = [
    ([[-1.0, 0.0], [0.0, 1.0]], "identity"),
    ([[0.0, -1.0], [-1.0, 0.0]], "rot270"),
    ([[1.0, 0.0], [0.0, -1.0]], "rot180"),
    ([[0.0, 1.0], [1.0, 0.0]], "rot90"),
    ([[1.0, 0.0], [0.0, 1.0]], "flipx"),
    ([[0.0, -1.0], [1.0, 0.0]], "flipx_rot270"),
    ([[-1.0, 0.0], [0.0, -1.0]], "flipx_rot180"),
    ([[0.0, 1.0], [-1.0, 0.0]], "flipx_rot90"),
];

fn with_matrix(header: Cards, m: [[f64; 2]; 2]) -> Cards {
    header
        .with("CD1_1", &format!("{:e}", m[0][0] * 1.112e-4))
        .with("CD1_2", &format!("{:e}", m[0][1] * 1.112e-4))
        .with("CD2_1", &format!("{:e}", m[1][0] * 1.112e-4))
        .with("CD2_2", &format!("{:e}", m[1][1] * 1.112e-4))
}

/// The matrix after a rotation of the sky under the detector.
fn rotated(m: [[f64; 2]; 2], deg: f64) -> [[f64; 2]; 2] {
    let (sin, cos) = deg.to_radians().sin_cos();
    [0, 1].map(|j| [cos * m[0][j] - sin * m[1][j], sin * m[0][j] + cos * m[1][j]]).transposed()
}

trait Transposed {
    fn transposed(self) -> Self;
}

impl Transposed for [[f64; 2]; 2] {
    fn transposed(self) -> Self {
        [[self[0][0], self[1][0]], [self[0][1], self[1][1]]]
    }
}

#[test]
fn every_camera_is_shown_north_up_and_east_left() {
    for (matrix, name) in CAMERAS {
        for lean_deg in [0.0, 30.0, -40.0] {
            for dec in ["0.0", "-60.0", "89.0"] {
                let cards = with_matrix(wfcam(), rotated(matrix, lean_deg));
                let cards =
                    cards.with("CRPIX1", "1000.0").with("CRPIX2", "1100.0").with("CRVAL2", dec);
                let wcs = Wcs::from_image(&cards).unwrap();
                let transform = wcs.orientation(DETECTOR).unwrap();
                assert_eq!(transform.name(), name, "leaning {lean_deg} at {dec}");
                check_display(&wcs, transform, lean_deg);
            }
        }
    }
}

/// A star to the north is shown above, one to the east to the left, of the centre.
fn check_display(wcs: &Wcs, transform: Transform, lean_deg: f64) {
    let centre = wcs.pixel_to_sky(1024.5, 1024.5).unwrap();
    let shown = |ra_deg: f64, dec_deg: f64| {
        let (x, y) = wcs.sky_to_pixel(SkyPosition { ra_deg, dec_deg }).unwrap();
        transform.apply(x, y, DETECTOR)
    };
    let (column, row) = shown(centre.ra_deg, centre.dec_deg);
    assert!((column - 1023.5).abs() < 1e-6 && (row - 1023.5).abs() < 1e-6);
    let north = shown(centre.ra_deg, centre.dec_deg + 0.01);
    let east = shown(centre.ra_deg + 0.01 / centre.dec_deg.to_radians().cos(), centre.dec_deg);
    assert!(row - north.1 > 0.7 * (column - north.0).abs(), "north at {north:?}");
    assert!(column - east.0 > 0.7 * (row - east.1).abs(), "east at {east:?}");
    let jacobian = wcs.central_jacobian(DETECTOR).unwrap();
    let lean = transform.north_from_up_deg(&jacobian);
    assert!((lean.abs() - lean_deg.abs()).abs() < 1.5, "{lean} for {lean_deg}");
    let drawn = (column - north.0).atan2(row - north.1).to_degrees();
    assert!((lean - drawn).abs() < 0.1, "{lean} as drawn {drawn}");
}

#[test]
fn a_field_beyond_the_sky_has_no_orientation() {
    let wcs = Wcs::from_image(&wfcam().with("CRPIX1", "60000.0")).unwrap();
    assert_eq!(wcs.orientation(DETECTOR).unwrap_err().code(), "wcs_off_sky");
    let empty = PixelSize { width: 0, height: 5 };
    assert_eq!(wcs.orientation(empty).unwrap_err().code(), "wcs_empty_image");
}

/// The four detectors of WFCAM: 94 % of a detector apart, each rotated to the next, the whole camera leaning.
fn camera(lean_deg: f64, ra: &str, dec: &str) -> Vec<Wcs> {
    let half = 0.97 * 2048.0; // centre of the field to centre of a detector
    let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
    corners
        .iter()
        .zip(&CAMERAS[4..])
        .map(|((east, north), (matrix, _))| {
            // Pixel of the field's centre, for a detector whose centre lies there.
            let m = matrix;
            let det = m[0][0] * m[1][1] - m[0][1] * m[1][0];
            let (e, n) = (-east * half, -north * half);
            let (x, y) = ((m[1][1] * e - m[0][1] * n) / det, (m[0][0] * n - m[1][0] * e) / det);
            let cards = with_matrix(wfcam(), rotated(*matrix, lean_deg));
            let cards = cards.with("CRPIX1", &format!("{:e}", 1024.5 + x));
            let cards = cards.with("CRPIX2", &format!("{:e}", 1024.5 + y));
            Wcs::from_image(&cards.with("CRVAL1", ra).with("CRVAL2", dec)).unwrap()
        })
        .collect()
}

#[test]
fn four_detectors_lie_as_on_the_sky() {
    for (ra, dec) in [("84.0", "21.8"), ("0.0", "-45.0"), ("200.0", "89.7"), ("10.0", "-90.0")] {
        for lean_deg in [0.0, 11.0, -30.0] {
            let cameras = camera(lean_deg, ra, dec);
            let detectors: Vec<_> =
                cameras.iter().map(|wcs| Detector { wcs, image: DETECTOR }).collect();
            let layout = Layout::of(&detectors, 1.6).unwrap();
            // A quarter of 2048 pixels each, with a gap of 94 % in between.
            assert!(
                (layout.width - 512.0 * 2.94).abs() < 12.0,
                "{ra} {dec} {lean_deg}: {}",
                layout.width
            );
            assert!((layout.height - 512.0 * 2.94).abs() < 12.0, "{}", layout.height);
            assert!(layout.north_from_up_deg.abs() <= 45.0);
            for (detector, place) in detectors.iter().zip(&layout.placements) {
                assert!(place.left >= -1e-9 && place.left + place.width <= layout.width + 1e-9);
                assert!(place.top >= -1e-9 && place.top + place.height <= layout.height + 1e-9);
                assert!((place.width - 512.0).abs() < 6.0 && (place.height - 512.0).abs() < 6.0);
                check_place(&layout, detector, place);
            }
        }
    }
}

/// Pixels drawn through the placement appear where the plane has their positions.
fn check_place(layout: &Layout, detector: &Detector<'_>, place: &sky::Placement) {
    let size = place.transform.display_size(detector.image);
    for (x, y) in [(1024.5, 1024.5), (1.0, 1.0), (2048.0, 1.0), (1.0, 2048.0), (2048.0, 2048.0)] {
        let (column, row) = place.transform.apply(x, y, detector.image);
        let drawn = (
            place.left + (column + 0.5) / size.width as f64 * place.width,
            place.top + (row + 0.5) / size.height as f64 * place.height,
        );
        let position = detector.wcs.pixel_to_sky(x, y).unwrap();
        let (across, down) = layout.locate(position).unwrap();
        let off = (drawn.0 - across).hypot(drawn.1 - down);
        assert!(off < 3.0, "{off} of a quarter-size picture at {x} {y}"); // the distortion inside a detector
    }
}

#[test]
fn north_is_up_in_the_picture() {
    let cameras = camera(0.0, "84.0", "21.8");
    let detectors: Vec<_> = cameras.iter().map(|wcs| Detector { wcs, image: DETECTOR }).collect();
    let layout = Layout::of(&detectors, 1.6).unwrap();
    let SkyPosition { ra_deg, dec_deg } = layout.centre;
    let shown = |ra_deg, dec_deg| layout.locate(SkyPosition { ra_deg, dec_deg }).unwrap();
    let (column, row) = shown(ra_deg, dec_deg);
    assert!((column - 0.5 * layout.width).abs() < 3.0 && (row - 0.5 * layout.height).abs() < 3.0);
    let north = shown(ra_deg, dec_deg + 0.1);
    let east = shown(ra_deg + 0.1, dec_deg);
    assert!((row - north.1 - 225.0).abs() < 1.0 && (column - north.0).abs() < 2.0, "{north:?}");
    assert!(column - east.0 > 200.0 && (row - east.1).abs() < 2.0, "{east:?}");
    assert_eq!(layout.locate(SkyPosition { ra_deg: ra_deg + 180.0, dec_deg: -dec_deg }), None);
}

#[test]
fn one_detector_fills_its_picture() {
    let wcs = Wcs::from_image(&tangent().with("CRPIX1", "500.0").with("CRPIX2", "300.0")).unwrap();
    let image = PixelSize { width: 1000, height: 600 };
    let layout = Layout::of(&[Detector { wcs: &wcs, image }], 0.4).unwrap();
    // Rotated by a quarter turn.
    assert!(
        (layout.width - 601.0).abs() < 1.0 && (layout.height - 1001.0).abs() < 1.0,
        "{layout:?}"
    );
    let place = layout.placements[0];
    assert!(place.left.abs() < 1e-9 && place.top.abs() < 1e-9);
    assert_eq!(place.transform, wcs.orientation(image).unwrap());
    assert_eq!(Layout::of(&[], 1.0).unwrap_err().code(), "wcs_empty_image");
}
