//! Headers that list their keywords, and the same headers that do not.

use crate::cards::Cards;
use crate::headers::{sip, tangent, tpv, wfcam};
use sky::{Keywords, Wcs};

/// A header of which nothing is known before it is searched.
struct Unlisted<'a>(&'a Cards);

impl Keywords for Unlisted<'_> {
    fn text(&self, keyword: &str) -> Option<String> {
        self.0.text(keyword)
    }
    fn number(&self, keyword: &str) -> Option<f64> {
        self.0.number(keyword)
    }
    fn each_keyword(&self, each: &mut dyn FnMut(&str)) -> bool {
        self.0.each_keyword(each);
        false
    }
}

#[test]
fn a_list_of_keywords_changes_nothing() {
    let headers = [
        wfcam(),
        wfcam().without("PV2_1").with("PROJP1", "1.0").with("PROJP7", "30.0"),
        wfcam().with("LONPOLE", "170.0").with("LATPOLE", "20.0").with("PV2_5", "'none'"),
        tangent().with("PV1_7", "0.01").with("CPDIS1", "'Lookup'"),
        tangent().without("CD1_1").with("CD001001", "-1.105E-07"),
        tangent().with("A_2_0", "1E-5").with("B_ORDER", "1"),
        tpv().with("A_ORDER", "3").with("EPOCH", "1950.0").without("EQUINOX"),
        sip(),
        sip().without("A_ORDER"),
        sip().without("B_ORDER").with("B_ORDER", "'three'"),
    ];
    for header in &headers {
        let [listed, unlisted] =
            [Wcs::from_image(header), Wcs::from_image(&Unlisted(header))].map(|w| format!("{w:?}"));
        assert_eq!(listed, unlisted, "{header:?}");
    }
}
