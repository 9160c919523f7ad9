//! Task files: the complete input of a node, in the directory of its attempt.

use crate::profiles::Loaded;
use anyhow::Context;
use archive::attempts::Started;
use files::Dir;
use model::task::{FORMAT_VERSION, ProgrammeRef, TASK_NAME, TaskFile, TaskLimits};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Makes the directory of an attempt and writes its task file. Returns the path of the file.
///
/// # Errors
/// When the site has no such survey profile, or the file cannot be written.
pub fn write(
    started: &Started,
    staging: &Path,
    profiles: &[Loaded],
    (limits, umask): (TaskLimits, Option<u32>),
) -> anyhow::Result<PathBuf> {
    let task = TaskFile { umask, ..content(started, profiles, limits)? };
    let path = started.directory.join(TASK_NAME);
    // No sync: after a crash of the machine the attempt is lost and restarted.
    write_new(staging, &started.directory, &serde_json::to_vec(&task)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Makes the directory of an attempt and writes its task file. The directory was not known before: an entry that exists there was
/// made by another user, and is removed.
fn write_new(staging: &Path, directory: &Path, text: &[u8]) -> anyhow::Result<()> {
    let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
        anyhow::bail!("the attempt has no directory");
    };
    Dir::make_below(staging, parent)?.remove_tree(name)?;
    let directory = Dir::make_below(staging, directory)?;
    directory.create(OsStr::new(TASK_NAME))?.write_all(text)?;
    Ok(())
}

/// Returns the content of the task file of an attempt.
fn content(started: &Started, profiles: &[Loaded], limits: TaskLimits) -> anyhow::Result<TaskFile> {
    let survey = profiles
        .iter()
        .find(|p| p.profile.name == started.survey)
        .with_context(|| format!("the site has no survey profile {}", started.survey))?;
    let programme = |p: &archive::programmes::Programme| ProgrammeRef {
        programme_id: p.programme_id,
        name: p.name.clone(),
        project: p.project.clone(),
    };
    Ok(TaskFile {
        version: FORMAT_VERSION,
        unit: started.attempt.task.unit.clone(),
        task: started.attempt.task.task,
        attempt: started.attempt.attempt,
        inputs: started.inputs.clone(),
        survey: started.survey.clone(),
        profile: survey.text.clone(),
        programmes: started.programmes.iter().map(programme).collect(),
        metadata: started.metadata.clone(),
        limits,
        output_dir: started.directory.clone(),
        umask: None,
    })
}
