//! Settings with impossible values: each is reported with its value and the allowed values.
//!
//! Faults of the machine (a directory that does not exist, a host that does not answer) are no faults of the configuration;
//! `doctor` reports them.

use super::Config;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use transfer::source::Address;

/// At most ten years: longer spans are mistakes, and some of them overflow.
const SECONDS: RangeInclusive<u64> = 1..=315_360_000;
const DAYS: RangeInclusive<u64> = 0..=36_500;
/// At most an exabyte in GB, and a petabyte in MB.
const GB: RangeInclusive<u64> = 0..=1_000_000_000;
const MB: RangeInclusive<u64> = 1..=1_000_000_000;
const THREADS: RangeInclusive<u64> = 0..=4096;
const CONNECTIONS: RangeInclusive<u64> = 1..=1024;

/// A key with the fault of its value.
pub type Fault = (Vec<String>, String);

/// Returns every setting whose value is impossible. `written` is the content of the file: settings that it omits have defaults.
pub fn check(config: &Config, written: &toml::Table) -> Vec<Fault> {
    let mut check = Check { faults: Vec::new() };
    check.work(config);
    check.places(config);
    check.plan(config);
    check.sources(config);
    check.hosts(config, written);
    check.faults
}

struct Check {
    faults: Vec<Fault>,
}

impl Check {
    fn fault(&mut self, path: &[&str], value: &dyn std::fmt::Display, why: &str) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.faults.push((path, format!("{value} {why}").trim_end().to_owned()));
    }

    fn whole(&mut self, path: &[&str], value: u64, range: &RangeInclusive<u64>) {
        if !range.contains(&value) {
            let why = format!("is not from {} to {}", range.start(), range.end());
            self.fault(path, &value, &why);
        }
    }

    /// Checks a number for which 0 means no limit.
    fn limit(&mut self, path: &[&str], value: f64) {
        if !(value.is_finite() && (0.0..=1e12).contains(&value)) {
            self.fault(path, &value, "is not a number from 0 (no limit) to 1e12");
        }
    }

    fn text(&mut self, path: &[&str], value: &str, is_right: bool, why: &str) {
        if !is_right {
            self.fault(path, &format!("{value:?}"), why);
        }
    }

    fn work(&mut self, config: &Config) {
        let work = &config.work;
        self.whole(&["work", "threads"], work.threads as u64, &THREADS);
        self.whole(&["work", "memory_per_thread_mb"], work.memory_per_thread_mb, &MB);
        self.whole(&["work", "memory_per_process_mb"], work.memory_per_process_mb, &MB);
        let rows = 1..=1_000_000_000_000;
        self.whole(
            &["work", "min_rows_per_catalogue_task"],
            work.min_rows_per_catalogue_task,
            &rows,
        );
        let library = &config.library;
        self.limit(&["library", "scrub_mb_per_second"], library.scrub_mb_per_second);
        self.whole(&["library", "keep_free_gb"], library.keep_free_gb, &GB);
        self.whole(&["staging", "keep_days"], config.staging.keep_days.into(), &DAYS);
        let any_seconds = 0..=*SECONDS.end();
        self.whole(&["sql", "max_seconds"], config.sql.max_seconds, &any_seconds);
        self.whole(&["sql", "max_temporary_mb"], config.sql.max_temporary_mb, &(0..=*MB.end()));
    }

    fn places(&mut self, config: &Config) {
        for (key, paths) in
            [("volumes", &config.library.volumes), ("directories", &config.inbox.directories)]
        {
            let section = if key == "volumes" { "library" } else { "inbox" };
            for (at, path) in paths.iter().enumerate() {
                let text = path.to_string_lossy();
                self.text(&[section, key], &text, !text.is_empty(), "is not a directory");
                let is_first = !paths[..at].contains(path);
                self.text(&[section, key], &text, is_first, "is named twice");
            }
        }
        self.whole(&["inbox", "quiet_seconds"], config.inbox.quiet_seconds, &(0..=*SECONDS.end()));
        self.whole(&["inbox", "poll_seconds"], config.inbox.poll_seconds, &SECONDS);
        let notify = &config.notify;
        self.limit(&["notify", "stuck_hours"], notify.stuck_hours);
        self.whole(&["notify", "low_disk_gb"], notify.low_disk_gb, &GB);
        let is_url = notify.webhook.is_empty() || is_web_address(&notify.webhook);
        self.text(
            &["notify", "webhook"],
            &notify.webhook,
            is_url,
            "is not an http:// or https:// URL",
        );
        if let Some(program) = notify.command.first() {
            self.text(&["notify", "command"], program, !program.is_empty(), "is not a program");
        }
        let listen = &config.ingest.listen;
        let is_address = listen.is_empty() || is_listen_address(listen);
        self.text(
            &["ingest", "listen"],
            listen,
            is_address,
            "is not an address and port such as \"127.0.0.1:9187\"; \"\" = nowhere",
        );
        self.whole(&["ingest", "poll_seconds"], config.ingest.poll_seconds, &SECONDS);
    }

    fn plan(&mut self, config: &Config) {
        let plan = &config.plan;
        self.limit(&["plan", "max_load"], plan.max_load);
        self.limit(&["plan", "auto_max_hours"], plan.auto_max_hours);
        self.limit(&["plan", "remote_mb_per_second"], plan.remote_mb_per_second);
        // With less than a heartbeat every attempt would count as lost.
        let silent = dispatch::HEARTBEAT.as_secs() + 1..=*SECONDS.end();
        self.whole(&["plan", "heartbeat_timeout_seconds"], plan.heartbeat_timeout_seconds, &silent);
        self.whole(&["plan", "poll_seconds"], plan.poll_seconds, &SECONDS);
        let report = 0..=*SECONDS.end();
        self.whole(&["ssh", "report_seconds"], config.ssh.report_seconds, &report);
        for (at, host) in config.ssh.hosts.iter().enumerate() {
            let is_first = !config.ssh.hosts[..at].contains(host);
            self.text(&["ssh", "hosts"], host, is_first, "is named twice");
        }
    }

    fn sources(&mut self, config: &Config) {
        for (name, source) in &config.sources {
            let at = |key| ["sources", name.as_str(), key];
            let is_name = !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            self.text(
                &["sources", name],
                name,
                is_name,
                "is not a name: letters, digits, . _ - only",
            );
            if let Err(why) = Address::parse(&source.url, std::path::Path::new("/")) {
                // The reason shows the address without its secrets.
                self.fault(&at("url"), &why, "");
            }
            let any_seconds = 0..=*SECONDS.end();
            self.whole(&at("quiet_seconds"), source.quiet_seconds, &any_seconds);
            self.whole(&at("settle_seconds"), source.settle_seconds, &any_seconds);
            self.whole(&at("poll_seconds"), source.poll_seconds, &SECONDS);
            self.whole(&at("stall_timeout_seconds"), source.stall_timeout_seconds, &SECONDS);
            self.whole(&at("max_connections"), source.max_connections as u64, &CONNECTIONS);
            self.limit(&at("mb_per_second"), source.mb_per_second);
            if source.complete_when == super::Complete::Count && source.expected_files == 0 {
                self.fault(
                    &at("expected_files"),
                    &0,
                    "is not a number of files, which complete_when = \"count\" needs",
                );
            }
            let is_url = source.endpoint.is_empty() || is_web_address(&source.endpoint);
            self.text(
                &at("endpoint"),
                &source.endpoint,
                is_url,
                "is not an http:// or https:// URL",
            );
            let is_variable = !source.secret_env.contains(['=', '\0']);
            self.text(
                &at("secret_env"),
                &source.secret_env,
                is_variable,
                "is not the name of a variable",
            );
        }
    }

    fn hosts(&mut self, config: &Config, written: &toml::Table) {
        for name in config.hosts.keys() {
            let of_host = written.get("hosts").and_then(|hosts| hosts.get(name.as_str()));
            for key in ["cores", "memory_mb"] {
                let is_zero =
                    of_host.and_then(|host| host.get(key)).and_then(toml::Value::as_integer)
                        == Some(0);
                if is_zero {
                    self.fault(&["hosts", name, key], &0, "leaves no cores; omit the key for all");
                }
            }
        }
    }
}

/// Returns true when a text is host and port in the form that a listening socket takes.
fn is_listen_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let is_host = match inner {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4())
                || (!host.is_empty()
                    && !host.chars().all(|c| c.is_ascii_digit() || c == '.')
                    && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
                    && !host.starts_with(['-', '.']))
        }
    };
    is_host && port.parse::<u16>().is_ok()
}

fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |c: char| !(c.is_whitespace() || c.is_control());
    rest.is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        !host.is_empty() && !host.starts_with(':') && rest.chars().all(is_plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_addresses_are_refused() {
        for right in
            ["127.0.0.1:9187", "localhost:80", "[::1]:9187", "0.0.0.0:0", "db-1.example.org:1"]
        {
            assert!(is_listen_address(right), "{right}");
        }
        let wrong = [
            "nonsense",
            "127.0.0.1",
            ":80",
            "127.0.0.1:99999",
            "1.2.3:80",
            "999.1.1.1:80",
            "a b:80",
            "::1:80",
        ];
        for wrong in wrong {
            assert!(!is_listen_address(wrong), "{wrong}");
        }
        assert!(
            is_web_address("https://hooks.example.org/a?b") && !is_web_address("hooks.example.org")
        );
        assert!(!is_web_address("https://") && !is_web_address("http:///path"));
    }
}
