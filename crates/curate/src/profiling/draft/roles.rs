//! Roles of HDUs by their names.

use super::super::dictionary::Dictionary;
use super::sample::{Sample, counted};
use super::text::{comment, quoted};

/// Returns the rules for HDUs, with the counts of their names.
pub(super) fn section(samples: &[&Sample]) -> String {
    let hdus = || {
        let images = samples.iter().filter(|sample| sample.is_image());
        images.flat_map(|sample| sample.hdus.iter())
    };
    let mut text = String::new();
    for is_table in [false, true] {
        let named = hdus().filter(|hdu| if is_table { hdu.is_table() } else { hdu.is_image() });
        for (name, count) in counted(named.map(|hdu| hdu.name.as_str())) {
            let what = if is_table { "tables" } else { "images" };
            let shown = if name.is_empty() { "no EXTNAME" } else { name };
            let role = match Dictionary::shipped().role(name, is_table) {
                Some(role) => role,
                None if name.is_empty() && !is_table => "image",
                None => {
                    text += &comment(&format!(
                        "TODO: {count} {what} in image files have {shown}: no known role"
                    ));
                    continue;
                }
            };
            text += &comment(&format!("{count} {what} in image files have {shown}: role {role}"));
            // An image without a rule is a detector.
            if role != "image" {
                let kind = if is_table { "table" } else { "image" };
                text += &format!(
                    "[[hdu]]\nrole = {}\nkind = \"{kind}\"\nextname = [{}]\n",
                    quoted(role),
                    quoted(name)
                );
            }
        }
    }
    text
}

/// Returns true when the catalogues are tables of the image files.
pub(super) fn are_in_images(images: &[&Sample]) -> bool {
    let is_catalogue = |sample: &&&Sample| {
        sample.tables().any(|hdu| Dictionary::shipped().role(&hdu.name, true) == Some("catalogue"))
    };
    images.iter().filter(is_catalogue).count() * 2 > images.len()
}
