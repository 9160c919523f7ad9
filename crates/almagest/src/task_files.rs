//! Task files: all that a node gets, in the directory of its attempt.

use crate::profiles::Loaded;
use anyhow::Context;
use archive::records::Started;
use model::task::{FORMAT_VERSION, ProgrammeRef, TASK_NAME, TaskFile, TaskLimits};
use std::path::PathBuf;

/// Makes the directory of an attempt and writes its task file, whose path it gives.
///
/// # Errors
/// When the site has no such survey profile, or the file cannot be written.
pub fn write(
    started: &Started,
    profiles: &[Loaded],
    limits: TaskLimits,
) -> anyhow::Result<PathBuf> {
    let task = content(started, profiles, limits)?;
    let directory = &started.directory;
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(TASK_NAME);
    // No sync: after a crash of the machine the attempt is lost and started anew.
    std::fs::write(&path, serde_json::to_vec(&task)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// All that a node needs for an attempt.
fn content(started: &Started, profiles: &[Loaded], limits: TaskLimits) -> anyhow::Result<TaskFile> {
    let survey = profiles
        .iter()
        .find(|p| p.profile.name == started.survey)
        .with_context(|| format!("the site has no survey profile {}", started.survey))?;
    let programme = |p: &archive::records::Programme| ProgrammeRef {
        programme_id: p.programme_id.get(),
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
    })
}
