//! Published rows and worked values.

use sky::{SkyDerived, galactic, htm, sdss_lambda_eta, unit_vector};

/// Position, unit vector, trixel; l, b, lambda, eta.
type Row = ([f64; 2], [f64; 3], u64, [f64; 4]);

/// Rows of a VISTA source table.
const ROWS: [Row; 5] = [
    (
        [190.86805228939133, -64.37475822559404],
        [-0.4247259950195791, -0.08154375511740393, -0.9016420826225788],
        11440553537287,
        [302.07049836460936, -1.5163335615548155, 2.5342248279584814, -96.99194649836984],
    ),
    (
        [177.21160375415113, -63.40866648307869],
        [-0.44709385204062074, 0.021775774591934877, -0.8942219540519014],
        10275597613947,
        [295.9953559337827, -1.3830133482562164, -3.477680225080429, -96.12061706916172],
    ),
    (
        [212.98349699846165, -61.03877458541266],
        [-0.40617500655653177, -0.26360683448365413, -0.8749475989236777],
        11482877479132,
        [312.52207470302665, 0.32525042677553356, 13.132470890142068, -96.45432324767337],
    ),
    (
        [182.9169160448538, -60.7029655169447],
        [-0.48870331760828106, -0.024901299612450176, -0.8720946007379421],
        11435130973784,
        [298.0828712571365, 1.793804039770566, -1.0191599066779544, -93.21912597730748],
    ),
    (
        [235.3320694141959, -54.28380692744292],
        [-0.3320600219252626, -0.48012953800599234, -0.8119185726248331],
        11855322651517,
        [326.1490744483447, 0.7447427644044863, 26.70272982697723, -97.84651761958683],
    ),
];

/// Checks one row of an archive against ours.
pub fn check_row(position: [f64; 2], vector: [f64; 3], trixel: u64, angles: [f64; 4]) {
    let row = SkyDerived::from_radec(position[0], position[1]).unwrap();
    for (found, wanted) in [row.cx, row.cy, row.cz].into_iter().zip(vector) {
        assert!((found - wanted).abs() <= 1e-13 * wanted.abs() + 2e-16, "{found} for {wanted}");
    }
    assert_eq!(row.htm_id.get() as u64, trixel, "{position:?}");
    // The archive's own b carries errors up to 1e-11.
    let checks = [
        (row.l_deg, angles[0], 1e-12),
        (row.b_deg, angles[1], 1e-11),
        (row.lambda_deg, angles[2], 1e-12),
        (row.eta_deg, angles[3], 1e-12),
    ];
    for (found, wanted, tolerance) in checks {
        assert!((found - wanted).abs() <= tolerance, "{found} for {wanted}");
    }
}

#[test]
fn rows_of_a_real_archive() {
    for (position, vector, trixel, angles) in ROWS {
        check_row(position, vector, trixel, angles);
        let v = unit_vector(position[0], position[1]);
        assert_eq!(Some(htm::id20(v)), htm::HtmId::new(trixel));
        let given = sky::UnitVector { x: vector[0], y: vector[1], z: vector[2] };
        assert_eq!(Some(htm::id20(given)), htm::HtmId::new(trixel));
        assert!((galactic(given).l_deg - angles[0]).abs() <= 1e-12);
        assert!((sdss_lambda_eta(given).eta_deg - angles[3]).abs() <= 1e-12);
    }
}

#[test]
fn trixels_of_the_same_place_at_all_depths() {
    let v = unit_vector(190.86805228939133, -64.37475822559404);
    let mut id = htm::HtmId::new(11440553537287).unwrap();
    for depth in (0..20).rev() {
        id = id.parent().unwrap();
        assert_eq!(htm::id(v, depth), id);
    }
    assert!((8..16).contains(&id.get()));
}
