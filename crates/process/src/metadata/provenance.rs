//! The rows of `provenance`: the frames that headers name, the companions that the profile names, and their roles for this frame.

use fits::{Card, Value};
use model::profile::{Role, SurveyProfile};
use model::{ExtNum, MultiframeId, RefusalCode};
use std::collections::BTreeMap;

use super::notes::{Notes, Place};
use super::reference::{self, FileReference};
use super::row::{Kind, Row};

/// A card that names another frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Naming<'f> {
    pub ext_num: ExtNum,
    pub role: Role,
    pub keyword: &'f str,
    pub component: FileReference<'f>,
}

/// Returns the file that a card names; `None` when it names none. A component that is not understood is a finding; a library
/// keyword may be just `Done`.
pub(super) fn read<'f>(
    card: Card<'f>,
    role: Role,
    ext_num: ExtNum,
    profile: &SurveyProfile,
    file: &str,
    notes: &mut Notes,
) -> Option<Naming<'f>> {
    let Some(Value::Text(text)) = card.value() else { return None };
    let component = reference::parse(text, &profile.naming.extensions);
    if component.is_none() && role == Role::Combine && !text.trim().is_empty() {
        let message = format!("{} = {text:?} names no file", card.keyword());
        let place = Place { file, hdu: Some(ext_num.hdu()) };
        notes.find(place, RefusalCode::COMPONENT_UNCLEAR, card.keyword(), message);
    }
    component.map(|component| Naming { ext_num, role, keyword: card.keyword(), component })
}

/// Returns one row per card, numbered within extension and role.
pub(super) fn rows<'f>(multiframe_id: MultiframeId, namings: &[Naming<'f>]) -> Vec<Row<'f>> {
    let mut rows = Vec::with_capacity(namings.len());
    for (n, naming) in namings.iter().enumerate() {
        let same =
            |other: &&Naming<'f>| other.ext_num == naming.ext_num && other.role == naming.role;
        let before = namings[..n].iter().filter(same).count();
        let mut row = Row::new(Kind::Provenance);
        row.set("multiframe_id", multiframe_id);
        row.set("ext_num", naming.ext_num.get());
        row.set("role", naming.role.name());
        row.set("position", i64::try_from(before + 1).unwrap_or(i64::MAX));
        row.set("keyword", naming.keyword);
        row.set("component_name", naming.component.name);
        row.set("component_extension", naming.component.extension);
        row.set("component_ext_num", naming.component.ext_num());
        rows.push(row);
    }
    rows
}

/// Value of `keyword` in the rows of companions, which no keyword names.
const COMPANION: &str = "companion";

/// Returns one row per companion of a frame, numbered after the components of the primary header.
pub(super) fn companion_rows<'f>(
    multiframe_id: MultiframeId,
    companions: Vec<(Role, String)>,
    namings: &[Naming<'f>],
) -> Vec<Row<'f>> {
    let mut last: BTreeMap<Role, i64> = BTreeMap::new();
    for naming in namings.iter().filter(|naming| naming.ext_num == ExtNum::FIRST) {
        *last.entry(naming.role).or_default() += 1;
    }
    let mut rows = Vec::with_capacity(companions.len());
    for (role, name) in companions {
        let position = last.entry(role).or_default();
        *position += 1;
        let mut row = Row::new(Kind::Provenance);
        row.set("multiframe_id", multiframe_id);
        row.set("ext_num", ExtNum::FIRST.get());
        row.set("role", role.name());
        row.set("position", *position);
        row.set("keyword", COMPANION);
        row.set("component_name", name);
        rows.push(row);
    }
    rows
}

/// Sets the names of library frames in the row of the multiframe: those of the first extension that names one.
pub(super) fn set_library_names<'f>(row: &mut Row<'f>, namings: &[Naming<'f>]) {
    let columns = [
        (Role::Dark, "dark_name"),
        (Role::Flat, "flat_name"),
        (Role::Sky, "sky_name"),
        (Role::Conf, "conf_name"),
        (Role::Mask, "mask_name"),
        (Role::Frin, "frin_name"),
    ];
    for (role, column) in columns {
        let first = namings.iter().find(|n| n.role == role);
        row.set(column, first.map(|n| n.component.name));
    }
}
