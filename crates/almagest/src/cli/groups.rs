//! The verbs in groups, as `almagest --help` lists them.

use clap::builder::StyledStr;
use std::fmt::Write;

/// Each group with its verbs, in the order in which a site meets them.
const GROUPS: [(&str, &[&str]); 6] = [
    (
        "Set up",
        &[
            "demo",
            "init",
            "doctor",
            "config",
            "profile",
            "programme",
            "simulate",
            "completions",
            "man",
        ],
    ),
    ("Run a night", &["run", "transfer", "preview", "metadata", "catalogue", "ingest", "daemon"]),
    (
        "Decide",
        &[
            "plan",
            "approve",
            "reject",
            "edit",
            "pause",
            "resume",
            "drain",
            "cancel",
            "retry",
            "refusals",
            "reprofile",
            "retract",
            "supersede",
        ],
    ),
    ("Inspect", &["status", "sources", "explain", "findings", "inspect", "contact-sheet"]),
    ("Maintain", &["verify", "scrub", "reconcile", "backup", "restore", "migrate", "purge"]),
    ("Query", &["sql", "attach"]),
];

/// Gives a command a help text with its verbs in groups.
pub fn grouped(command: clap::Command) -> clap::Command {
    let mut template = "{about-with-newline}\n{usage-heading} {usage}\n\n".to_owned();
    let styles = command.get_styles();
    let (header, header_end) =
        (styles.get_header().render().to_string(), styles.get_header().render_reset().to_string());
    let (literal, literal_end) = (
        styles.get_literal().render().to_string(),
        styles.get_literal().render_reset().to_string(),
    );
    for (group, verbs) in GROUPS {
        let _ = writeln!(template, "{header}{group}:{header_end}");
        for verb in verbs {
            let about = command.find_subcommand(verb).and_then(clap::Command::get_about);
            let about = about.map(StyledStr::to_string).unwrap_or_default();
            let _ = writeln!(template, "  {literal}{verb:<14}{literal_end} {about}");
        }
        template.push('\n');
    }
    let _ = write!(template, "{header}Options:{header_end}\n{{options}}{{after-help}}");
    command.help_template(template)
}

#[cfg(test)]
mod tests {
    use super::GROUPS;
    use clap::CommandFactory;

    #[test]
    fn every_verb_is_in_one_group() {
        let command = crate::cli::Arguments::command();
        let mut verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let mut grouped: Vec<&str> =
            GROUPS.iter().flat_map(|(_, verbs)| verbs.iter().copied()).collect();
        verbs.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, verbs);
    }
}
