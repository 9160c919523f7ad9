//! `almagest sources`.

use crate::exit::Exit;
use crate::report::{Table, say, shown};
use archive::deliveries::origins::KnownOrigin;
use curate::site::Site;
use curate::sources::{self, Origin};
use curate::steps::own;
use model::DeliveryName;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --json: one array [{name, address, max_connections, mb_per_second, is_open, fault,
deliveries: [{name, delivery, names, state, awaited}], skipped: [[NAME, WHY]]}].")]
pub struct Arguments {
    /// As one JSON array.
    #[arg(long)]
    json: bool,
}

/// A source with its present content.
#[derive(Debug, Serialize)]
struct Found {
    name: String,
    address: String,
    max_connections: usize,
    mb_per_second: f64,
    is_open: bool,
    /// Reason why the source cannot be read; `None` when it can.
    fault: Option<String>,
    deliveries: Vec<Delivery>,
    /// Entries that are no deliveries of the source, each with the reason.
    skipped: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Delivery {
    /// Name of the directory.
    name: String,
    /// Name of the delivery in the archive; `None` when the archive does not know it.
    delivery: Option<DeliveryName>,
    /// Number of names in the directory.
    names: usize,
    /// State in the archive; `new` when the archive does not know the delivery.
    state: String,
    awaited: Option<String>,
}

/// Queries every source of the configuration for its deliveries. Exit code 4 when one cannot be read.
pub fn run(site: Option<PathBuf>, arguments: &Arguments) -> anyhow::Result<Exit> {
    let site = Site::find(site)?;
    let (origins, profiles) = (sources::all(&site)?, site.profiles()?);
    let archive = site.read()?;
    let (status, keys) = (archive.status()?, sources::keys(&site));
    let mut by_directory: BTreeMap<String, Vec<KnownOrigin>> = BTreeMap::new();
    for known in archive.origins(None)? {
        by_directory.entry(known.place.directory.clone()).or_default().push(known);
    }
    let known: BTreeMap<_, _> =
        status.deliveries.iter().map(|d| (d.name.as_str(), (&d.state, &d.awaited))).collect();
    type Listed = (Vec<Delivery>, Vec<(String, String)>);
    let list = |origin: &Origin| -> Result<Listed, transfer::SourceFault> {
        let (mut deliveries, found) = (Vec::new(), origin.deliveries(&profiles)?);
        for name in found.names {
            let names = origin.source.probe(&name)?.names.len();
            let own = by_directory.get(&name).and_then(|all| own(all, origin, &keys));
            let delivery = own.map(|own| own.delivery.clone());
            let (state, awaited) = match own.and_then(|own| known.get(own.delivery.as_str())) {
                Some((state, awaited)) => (state.to_string(), (*awaited).clone()),
                None => ("new".to_owned(), None),
            };
            deliveries.push(Delivery { name, delivery, names, state, awaited });
        }
        Ok((deliveries, found.skipped))
    };
    let found: Vec<Found> = origins
        .iter()
        .map(|origin| {
            let listed = list(origin);
            let fault = listed.as_ref().err().map(ToString::to_string);
            let (deliveries, skipped) = listed.unwrap_or_default();
            Found {
                name: origin.name.clone(),
                address: origin.address.clone(),
                max_connections: origin.settings.max_connections,
                mb_per_second: origin.settings.mb_per_second,
                is_open: origin.settings.is_open(curate::site::now()),
                fault,
                deliveries,
                skipped,
            }
        })
        .collect();
    if arguments.json {
        say!("{}", crate::report::json(&found)?);
    } else {
        told(&found);
    }
    let is_unreachable = found.iter().any(|f| f.fault.is_some());
    Ok(if is_unreachable { Exit::Infrastructure } else { Exit::Done })
}

fn told(found: &[Found]) {
    if found.is_empty() {
        say!("almagest.toml names no source: [inbox] directories, [sources.NAME]");
        return;
    }
    let mut table = Table::new(["source", "where", "connections", "limit", "deliveries", ""]);
    let mut deliveries = Table::new(["source", "delivery", "files there", "here", "awaited"]);
    let mut skipped = Table::new(["source", "skipped", "why"]);
    for source in found {
        let limit = match source.mb_per_second {
            0.0 => String::new(),
            limit => format!("{limit} MB/s"),
        };
        let word = match &source.fault {
            Some(fault) => shown(fault),
            None if !source.is_open => "outside its windows".to_owned(),
            None => String::new(),
        };
        table.row([
            source.name.clone(),
            source.address.clone(),
            source.max_connections.to_string(),
            limit,
            source.deliveries.len().to_string(),
            word,
        ]);
        for d in &source.deliveries {
            deliveries.row([
                source.name.clone(),
                d.delivery.as_ref().map_or(d.name.clone(), ToString::to_string),
                d.names.to_string(),
                d.state.clone(),
                d.awaited.clone().unwrap_or_default(),
            ]);
        }
        for (name, why) in &source.skipped {
            skipped.row([source.name.clone(), name.clone(), why.clone()]);
        }
    }
    say!("{}", table.text());
    for table in [deliveries, skipped].iter().filter(|table| !table.is_empty()) {
        say!("{}", table.text());
    }
}
