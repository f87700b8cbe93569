//! Where the server's settings come from: a file, the environment and the arguments, in rising precedence.
//!
//! [`Config::SETTINGS`] is the one list of them. This file only carries text to [`Config::set`] and remembers who said
//! what, so that a bad value is reported with its source: the line of the file, the variable or the argument.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches};
use log::LevelFilter;
use toml::de::{DeTable, DeValue};
use wspoll::{Config, Error, InvalidSetting};

use crate::modes::Mode;

/// What `--help` says below the settings.
pub(crate) const PRECEDENCE: &str = "\
Each setting can stand in the file (max_message_size = \"1MiB\"), in a variable (WSPOLL_MAX_MESSAGE_SIZE=1MiB; an empty
one counts as absent) and in an argument (--max-message-size 1MiB). Arguments win over variables, variables over the
file. Sizes are bytes, or 64KiB, 1MiB, 1GiB; times are milliseconds, or 500ms, 10s, 1m. Lists are separated by commas,
or are the argument several times, or an array in the file.";

const LOG_LEVEL: &str = "log_level";
const LOG_LEVEL_UNIT: &str = "off|error|warn|info|debug|trace";
const DEFAULT_LOG_LEVEL: LevelFilter = LevelFilter::Info;
/// What a WebSocket server is first tried with.
const DEFAULT_MODE: Mode = Mode::Echo;

const MODE: &str = "mode";

/// Where the command serves its admin listener unless it is told otherwise: only for this machine, on the port that Go's
/// pprof made known. A program that embeds the library has none unless it asks for it.
pub(crate) const DEFAULT_ADMIN: &str = "127.0.0.1:6060";

/// The one argument that names no setting.
const CONFIG: &str = "config";

/// Variables of ours that set up the project's tests and not the server.
const TEST_VARIABLES: &str = "WSPOLL_TEST_";

/// What was set, and by whom.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) log_level: LevelFilter,
    /// What `serve` does on paths that say nothing.
    pub(crate) mode: Mode,
    /// Names of the settings that were set, each with where its value came from.
    sources: Vec<(&'static str, String)>,
}

/// The argument of `serve` alone.
pub(crate) fn mode() -> Arg {
    let help = "What is done with messages on / and on paths that say nothing; /echo, /push and /log always say it";
    argument(MODE, Mode::UNIT, &DEFAULT_MODE.to_string(), help)
}

/// The arguments of every command that serves: one for each setting, and the file.
pub(crate) fn arguments() -> Vec<Arg> {
    let settings = Config::SETTINGS.iter().map(|setting| {
        let default = match (setting.default)() {
            _ if setting.name == "admin" => DEFAULT_ADMIN.to_owned(),
            empty if empty.is_empty() => "none".to_owned(),
            default => default,
        };
        // Once for each item of a list. A second value of anything else is refused where it is parsed.
        let with_unit = format!("{}-ms", setting.name.replace('_', "-"));
        argument(setting.name, setting.unit, &default, setting.help)
            .action(ArgAction::Append)
            .aliases(setting.is_time().then_some(with_unit))
    });
    let level = DEFAULT_LOG_LEVEL.to_string().to_lowercase();
    let own = [
        argument(LOG_LEVEL, LOG_LEVEL_UNIT, &level, "How much is logged, to stderr"),
        argument(CONFIG, "FILE", "none", "A TOML file with settings, one a line"),
    ];
    settings.chain(own).collect()
}

fn argument(name: &'static str, unit: &'static str, default: &str, help: &str) -> Arg {
    Arg::new(name)
        .long(name.replace('_', "-"))
        .value_name(unit)
        .help(format!("{help}\n[default: {default}; variable: {}]", variable(name)))
        .next_line_help(true)
}

fn variable(name: &str) -> String {
    format!("WSPOLL_{}", name.to_uppercase())
}

impl Settings {
    /// Reads the file, the environment and the arguments.
    ///
    /// # Errors
    ///
    /// A line that names the setting, its value, what is wrong and where it stands.
    pub(crate) fn load(
        matches: &ArgMatches,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Settings, String> {
        let mut config = Config::default();
        config.admin = Some(DEFAULT_ADMIN.to_owned());
        let mut settings = Settings {
            config,
            log_level: DEFAULT_LOG_LEVEL,
            mode: DEFAULT_MODE,
            sources: Vec::new(),
        };
        let variables = variables(environment)?;
        let argument = |name: &str| {
            // Not every command has every argument.
            let values = matches.try_get_many::<String>(name).ok().flatten();
            values.map(|values| {
                let list = values.map(String::as_str).collect::<Vec<_>>().join(",");
                (list, format!("argument --{}", name.replace('_', "-")))
            })
        };
        let variable = |name: &str| {
            let variable = variable(name);
            let value = variables.iter().find(|(name, _)| *name == variable)?.1.clone();
            Some((value, format!("variable {variable}")))
        };
        if let Some((file, source)) = argument(CONFIG).or_else(|| variable(CONFIG)) {
            settings.read_file(&file, &source)?;
        }
        for name in names() {
            for (value, source) in variable(name).into_iter().chain(argument(name)) {
                settings.set(name, &value, source)?;
            }
        }
        let checked = settings.config.validate().and_then(|()| settings.check_purpose());
        match checked {
            Ok(()) => Ok(settings),
            Err(error) => Err(settings.explain(&error)),
        }
    }

    /// An error of the library, with the sources of the settings that it names.
    pub(crate) fn explain(&self, error: &Error) -> String {
        let text = error.to_string();
        if !matches!(error, Error::InvalidSetting(_)) {
            return text;
        }
        // Two settings that contradict each other are both named; the default of one of them has no source.
        let is_named = |name: &str| {
            text.split(|c: char| c != '_' && !c.is_alphanumeric()).any(|word| word == name)
        };
        let sources: Vec<&str> = self
            .sources
            .iter()
            .filter(|(name, _)| is_named(name))
            .map(|(_, source)| source.as_str())
            .collect();
        format!("{text} ({})", sources.join(", "))
    }

    /// Whether somebody said where the admin listener is to be, or that there is to be none.
    pub(crate) fn admin_is_chosen(&self) -> bool {
        self.sources.iter().any(|(name, _)| *name == "admin")
    }

    /// Refuses what a program that embeds the server may want, and this command cannot do.
    fn check_purpose(&self) -> wspoll::Result<()> {
        let refuse = |field, value: &str, reason: &str| {
            let (value, reason) = (value.to_owned(), reason.to_owned());
            Err(Error::InvalidSetting(Box::new(InvalidSetting { field, value, reason })))
        };
        if self.config.listen.is_empty() {
            return refuse("listen", "", "the command needs an address to listen on");
        }
        if self.config.stream_fragments {
            return refuse("stream_fragments", "true", "the command echoes whole messages");
        }
        Ok(())
    }

    fn read_file(&mut self, file: &str, source: &str) -> Result<(), String> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("{CONFIG} is {file:?}: {error} ({source})"))?;
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let table = DeTable::parse(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            format!("{file}:{}: {}", line(at), error.message())
        })?;
        for (key, value) in table.get_ref() {
            let place = format!("{file}:{}", line(key.span().start));
            let name = named(key.get_ref())
                .ok_or_else(|| format!("{place}: no setting is named {}", key.get_ref()))?;
            let value = plain(value.get_ref()).ok_or_else(|| {
                let kind = value.get_ref().type_str();
                format!("{place}: {name} is a {kind}: must be text, a whole number, true or false, or a list")
            })?;
            self.set(name, &value, place)?;
        }
        Ok(())
    }

    fn set(&mut self, name: &'static str, value: &str, source: String) -> Result<(), String> {
        if name == LOG_LEVEL {
            self.log_level = value.parse().map_err(|_| {
                format!("{name} is {value:?}: must be one of {LOG_LEVEL_UNIT} ({source})")
            })?;
        } else if name == MODE {
            self.mode = value.parse().map_err(|()| {
                format!("{name} is {value:?}: must be one of {} ({source})", Mode::UNIT)
            })?;
        } else {
            self.config.set(name, value).map_err(|error| format!("{error} ({source})"))?;
        }
        self.sources.retain(|(set, _)| *set != name);
        self.sources.push((name, source));
        Ok(())
    }
}

/// Everything that the file, the environment and the arguments can set.
fn names() -> impl Iterator<Item = &'static str> {
    Config::SETTINGS.iter().map(|setting| setting.name).chain([LOG_LEVEL, MODE])
}

/// What is meant by a name in the file.
fn named(name: &str) -> Option<&'static str> {
    let setting = Config::setting(name).map(|setting| setting.name);
    setting.or_else(|| (name.replace('-', "_") == LOG_LEVEL).then_some(LOG_LEVEL))
}

/// The variables that are ours, with text in them. One that we do not know is likely misspelt, and is said.
fn variables(
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, String> {
    let mut ours = Vec::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with("WSPOLL_")) else { continue };
        let Some(known) = names().chain([CONFIG]).find(|known| is_variable_of(name, known)) else {
            if !name.starts_with(TEST_VARIABLES) {
                eprintln!("wspoll: variable {name} names no setting and is ignored");
            }
            continue;
        };
        if !value.is_empty() {
            let value = value
                .into_string()
                .map_err(|value| format!("{value:?} is not UTF-8 (variable {name})"))?;
            ours.push((variable(known), value));
        }
    }
    Ok(ours)
}

/// Whether a variable sets this setting; that of a time may say its unit.
fn is_variable_of(name: &str, setting: &str) -> bool {
    let wanted = variable(setting);
    let is_time = Config::setting(setting).is_some_and(|setting| setting.is_time());
    name == wanted || is_time && name.strip_suffix("_MS") == Some(&wanted)
}

/// A value of the file as the text that [`Config::set`] takes; none for what no setting is: a table, a float, a date.
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
        }
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> =
                items.iter().map(|item| plain(item.get_ref())).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}
