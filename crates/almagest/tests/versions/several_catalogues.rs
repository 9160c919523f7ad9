//! Images with several catalogue files.

use super::{FIRST, catalogues, image_of, multiframe, small};
use crate::operator::Desk;
use std::path::Path;

/// Changes a text of the site's profile of WFCAM.
fn change_profile(desk: &Desk, from: &str, to: &str) {
    let path = desk.site.join("surveys/wfcam.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn copy(delivery: &Path, from: &str, to: &str) {
    std::fs::copy(delivery.join(from), delivery.join(to)).unwrap();
}

/// Two catalogues of an image that no rule tells apart are both refused; the one that the source keeps is archived.
#[test]
fn a_second_catalogue_of_another_name_replaces_nothing() {
    for desk in Desk::of_both_engines() {
        change_profile(
            &desk,
            "catalogue_suffixes = [\"_cat\"]",
            "catalogue_suffixes = [\"_cat\", \"_sexcat\"]",
        );
        let delivery = desk.simulate(&small());
        let names = catalogues(&delivery);
        let other = names[0].replace("_cat.fits", "_sexcat.fits");
        copy(&delivery, &names[1], &other);
        // A corrected catalogue of another image is no second one: the suffix is ignored.
        let corrected = names[2].replace("_cat.fits", "_cat_fix.fits");
        copy(&delivery, &names[1], &corrected);
        desk.run(&delivery).ended(1);
        let refused: Vec<(String, String)> = desk
            .refusals()
            .iter()
            .filter(|r| r["code"] == "catalogue_ambiguous")
            .map(|r| (r["file"].as_str().unwrap().to_owned(), r["message"].to_string()))
            .collect();
        let files: Vec<&str> = refused.iter().map(|(file, _)| file.as_str()).collect();
        assert_eq!(files, [names[0].as_str(), &other]);
        for (_, message) in &refused {
            assert!(message.contains(&names[0]) && message.contains(&other), "{message}");
        }
        let image = image_of(&names[0]);
        let id = multiframe(&desk, FIRST, &image);
        let detections =
            || desk.count(&format!("SELECT count(*) FROM detection WHERE multiframe_id = {id}"));
        assert_eq!(detections(), 0);
        let said = desk.at_site(&["explain", &format!("{FIRST}/{image}")]).ended(0);
        assert!(said.contains("catalogue_ambiguous") && said.contains(&other), "{said}");
        let said = desk.at_site(&["explain", &format!("{FIRST}/{other}")]).ended(0);
        assert!(said.contains(&format!("one of several of image {image}")), "{said}");
        // The same again changes nothing, and refuses nothing new.
        desk.run(&delivery).ended(0);
        assert_eq!(detections(), 0);
        std::fs::remove_file(delivery.join(&other)).unwrap();
        desk.run(&delivery);
        assert!(desk.refusals().iter().all(|r| r["code"] != "catalogue_ambiguous"));
        assert!(detections() > 0);
        let version = "SELECT DISTINCT cat_version, cat_name FROM multiframe WHERE multiframe_id";
        let rows = desk.rows(&format!("{version} = {id}"));
        assert_eq!(rows, [serde_json::json!({ "cat_version": 1, "cat_name": names[0] })]);
        desk.verified();
    }
}

/// Files that the profile names as companions of images are linked to them, whichever is registered first.
#[test]
fn companions_are_linked_to_their_images() {
    for desk in Desk::of_both_engines() {
        change_profile(
            &desk,
            "[[library]]",
            "[[companion]]\nrole = \"weight\"\nreplace = { \"_st.fit\" = \"_st_conf.fit\" }\n\n\
             [[companion]]\nrole = \"quicklook\"\nreplace = { \"_st.fit\" = \"_st.png\" }\n\n[[library]]",
        );
        let delivery = desk.simulate(&small());
        let images: Vec<String> = catalogues(&delivery).iter().map(|name| image_of(name)).collect();
        let image = images.iter().find(|name| {
            name.ends_with("_st.fit") && delivery.join(name.replace(".fit", "_conf.fit")).exists()
        });
        let image = image.expect("a stack with a confidence map").clone();
        let weight = image.replace(".fit", "_conf.fit");
        let picture = image.replace(".fit", ".png");
        desk.run(&delivery).ended(0);
        let explained =
            |name: &str| desk.at_site(&["explain", &format!("{FIRST}/{name}")]).ended(0);
        let id = multiframe(&desk, FIRST, &weight);
        let said = explained(&image);
        let line = format!("the weight of the image is {weight}, multiframe {id}");
        assert!(said.contains(&line), "{said}");
        let line = format!("the quicklook of the image would be {picture}, which has not arrived");
        assert!(said.contains(&line), "{said}");
        let said = explained(&weight);
        assert!(said.contains(&format!("the file is the weight of image {image}")), "{said}");
        std::fs::write(delivery.join(&picture), "a picture").unwrap();
        desk.run(&delivery).ended(0);
        let said = explained(&image);
        assert!(said.contains(&format!("the quicklook of the image is {picture}\n")), "{said}");
        let said = explained(&picture);
        assert!(said.contains(&format!("the file is the quicklook of image {image}")), "{said}");
        let linked =
            "SELECT count(*) FROM provenance WHERE keyword = 'companion' AND role = 'weight'
             AND component_multiframe_id IS NOT NULL";
        assert!(desk.count(linked) > 0);
        desk.verified();
    }
}
