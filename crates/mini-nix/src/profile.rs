//! `--profile FILE`: where an evaluation spends its time, written when it ends.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use nix_eval::{Evaluator, Profile};

use crate::{exit::Failure, settings::Settings};

/// A profile that somebody asked for.
pub(crate) struct Wanted {
    to: Target,
    period: Option<Duration>,
    profile: Profile,
}

/// What the file is.
enum Target {
    /// A file that is there at the end, whole, or as it was.
    Regular(PathBuf),
    /// A terminal, a pipe or the like; open since before the evaluation.
    Stream(PathBuf, File),
}

impl Wanted {
    /// By the flag, or by `eval-profiler` as C++ Nix has it.
    ///
    /// # Errors
    /// When the file cannot be written, or the profiler is none of ours.
    pub(crate) fn of(file: Option<&str>, settings: &Settings) -> Result<Option<Wanted>, Failure> {
        let file = match (file, settings.text("eval-profiler")) {
            (Some(file), _) => file,
            (None, "disabled") => return Ok(None),
            (None, "flamegraph") => settings.text("eval-profile-file"),
            (None, other) => {
                let text = "setting 'eval-profiler' is disabled or flamegraph, not";
                return Err(Failure::new(format!("{text} '{other}'")));
            }
        };
        let to = Target::of(Path::new(file))
            .map_err(|e| Failure::new(format!("the profile cannot be written to '{file}': {e}")))?;
        let frequency = settings.number("eval-profiler-frequency");
        let period =
            (frequency > 0).then(|| Duration::from_secs(1) / frequency.min(1_000_000) as u32);
        Ok(Some(Wanted { to, period, profile: Profile::default() }))
    }

    /// Begins to take the time of a session.
    pub(crate) fn start(&self, evaluator: &Evaluator) {
        evaluator.start_profile(self.period);
    }

    /// Adds what a session did.
    pub(crate) fn add(&mut self, evaluator: &Evaluator) {
        if let Some(profile) = evaluator.take_profile() {
            self.profile.add(&profile);
        }
    }

    /// Writes it; what fails now is a warning.
    pub(crate) fn write(&mut self) {
        let profile = &self.profile;
        let (path, result) = match &mut self.to {
            Target::Regular(path) => {
                let new = beside(path);
                let result = File::create_new(&new)
                    .and_then(|file| write_to(profile, file))
                    .and_then(|()| fs::rename(&new, &*path));
                if result.is_err() {
                    // What could not be made may not be there.
                    let _ = fs::remove_file(new);
                }
                (path, result)
            }
            Target::Stream(path, file) => {
                let result = write_to(profile, file);
                (path, result)
            }
        };
        if let Err(e) = result {
            eprintln!("warning: the profile cannot be written to '{}': {e}", path.display());
        }
    }
}

impl Target {
    /// Sees to it that the file can be written, before anything is evaluated.
    fn of(path: &Path) -> io::Result<Target> {
        let path = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {
                // One that must not be written is not replaced either; links stay.
                File::options().write(true).open(path)?;
                fs::canonicalize(path)?
            }
            Ok(metadata) if metadata.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(_) => {
                let file = File::options().write(true).open(path)?;
                return Ok(Target::Stream(path.to_owned(), file));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(e) => return Err(e),
        };
        let new = beside(&path);
        File::create_new(&new)?;
        fs::remove_file(new)?;
        Ok(Target::Regular(path))
    }
}

/// The file that takes the place of `path` when it is whole.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

fn write_to(profile: &Profile, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    profile.write_folded(&mut out)?;
    out.flush()
}
