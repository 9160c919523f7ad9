//! The operator: the user of this process, for histories and logs.

/// Environment variable with the name of the operator, where an account is shared.
pub const OPERATOR: &str = "ALMAGEST_OPERATOR";

/// Returns the user of this process, for histories: the account as the system knows it, whatever the environment contains. The
/// name of an operator who shares an account, or uses sudo, precedes it.
pub fn operator() -> String {
    let uid = rustix::process::getuid();
    let account = whoami::username().unwrap_or_else(|_| format!("uid {}", uid.as_raw()));
    let named = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let person = named(OPERATOR).or_else(|| named("SUDO_USER").filter(|_| uid.is_root()));
    match person.filter(|person| *person != account) {
        Some(person) => format!("{} ({account})", person.trim()),
        None => account,
    }
}
