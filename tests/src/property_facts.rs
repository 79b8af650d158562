//! What OpenZFS says of its own properties in sysfs, against the library's table.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use zfsvol_core::kernel::ModuleVersion;
use zfsvol_core::property::{
    DatasetTypes, PropertyAccess, PropertyInfo, PropertyKind, PropertyScope,
};

/// What one release says of its properties.
#[derive(Debug)]
pub struct PropertyFacts {
    version: ModuleVersion,
    /// By scope (`dataset`, `pool`) and name.
    facts: BTreeMap<(String, String), Fact>,
}

/// One property, as sysfs has it.
#[derive(Debug)]
struct Fact {
    kind: String,
    readonly: bool,
    setonce: bool,
    visible: bool,
    default: String,
    datasets: String,
    values: String,
}

impl PropertyFacts {
    /// From a file of `tests/fixtures/properties`.
    ///
    /// # Panics
    /// When it is not one.
    pub fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix("# OpenZFS "));
        let facts = lines.filter(|line| !line.starts_with('#')).map(|line| {
            let field: Vec<&str> = line.split('\t').collect();
            let [scope, name, kind, readonly, setonce, visible, default, datasets, values] =
                field.try_into().expect("nine fields");
            let fact = Fact {
                kind: kind.to_owned(),
                readonly: readonly == "1",
                setonce: setonce == "1",
                visible: visible == "1",
                default: default.to_owned(),
                datasets: datasets.to_owned(),
                values: values.to_owned(),
            };
            ((scope.to_owned(), name.to_owned()), fact)
        });
        Self { version: parse_version(version.expect("a version")), facts: facts.collect() }
    }

    /// Of the module that is loaded.
    ///
    /// # Errors
    /// When its files in sysfs cannot be read.
    pub fn of_loaded_module() -> io::Result<Self> {
        let module = Path::new("/sys/module/zfs");
        let mut facts = BTreeMap::new();
        for scope in ["dataset", "pool"] {
            for entry in fs::read_dir(module.join(format!("properties.{scope}")))? {
                let entry = entry?;
                let read = |fact: &str| -> String {
                    let text = fs::read_to_string(entry.path().join(fact)).unwrap_or_default();
                    text.trim_end_matches('\n').to_owned()
                };
                let fact = Fact {
                    kind: read("type"),
                    readonly: read("readonly") == "1",
                    setonce: read("setonce") == "1",
                    visible: read("visible") == "1",
                    default: read("default"),
                    datasets: read("datasets"),
                    values: read("values"),
                };
                let name = entry.file_name().into_string().expect("names are text");
                facts.insert((scope.to_owned(), name), fact);
            }
        }
        let version = fs::read_to_string(module.join("version"))?;
        Ok(Self { version: parse_version(&version), facts })
    }

    /// Asserts that the library's table says the same.
    ///
    /// # Panics
    /// With every difference.
    pub fn check_table(&self) {
        let mut differences = Vec::new();
        for ((scope, name), fact) in &self.facts {
            let found = PropertyInfo::find(scope_of(scope), name);
            let complaint = match found {
                None => Some("the table does not have it".to_owned()),
                Some(info) => fact.difference(info, &self.version),
            };
            differences.extend(complaint.map(|complaint| format!("{scope} {name}: {complaint}")));
        }
        for scope in ["dataset", "pool"] {
            for info in PropertyInfo::all(scope_of(scope)) {
                let old = info.since.is_none_or(|since| since <= self.version.release());
                if old && !self.facts.contains_key(&(scope.to_owned(), info.name.to_owned())) {
                    differences.push(format!("{scope} {}: the module does not have it", info.name));
                }
            }
        }
        assert!(differences.is_empty(), "OpenZFS {}: {differences:#?}", self.version);
    }
}

impl Fact {
    fn difference(&self, info: &PropertyInfo, version: &ModuleVersion) -> Option<String> {
        let kind = match info.kind {
            PropertyKind::Number(_) => "number",
            PropertyKind::Text => "string",
            _ => "index",
        };
        if kind != self.kind {
            return Some(format!("it is a {}, not a {kind}", self.kind));
        }
        if info.since.is_some_and(|since| since > version.release()) {
            return Some("it is older than the table says".to_owned());
        }
        let access = (
            info.access == PropertyAccess::ReadOnly,
            info.access == PropertyAccess::SetOnceInheritable,
            info.visible,
        );
        if access != (self.readonly, self.setonce, self.visible) {
            return Some(format!("readonly, setonce and visible are not {access:?}"));
        }
        self.default_difference(info, version)
            .or_else(|| self.type_difference(info))
            .or_else(|| self.word_difference(info))
    }

    fn default_difference(&self, info: &PropertyInfo, version: &ModuleVersion) -> Option<String> {
        // `mounted` is said in other words; `on` of `xattr` means one thing in some releases and another in the rest.
        if matches!(info.name, "mounted" | "xattr") {
            return None;
        }
        let default = info.default_value(version);
        let default = match &default {
            // "none" here is this number there.
            Some(value) if self.kind == "number" => {
                value.as_number().map_or_else(String::new, |number| number.to_string())
            }
            Some(value) => value.to_string(),
            None => String::new(),
        };
        (default != self.default).then(|| format!("the default is not '{default}'"))
    }

    fn type_difference(&self, info: &PropertyInfo) -> Option<String> {
        let types = self.datasets.split_whitespace().fold(DatasetTypes::empty(), |types, word| {
            types
                | match word {
                    "filesystem" => DatasetTypes::FILESYSTEM,
                    "volume" => DatasetTypes::VOLUME,
                    "snapshot" => DatasetTypes::SNAPSHOT,
                    "bookmark" => DatasetTypes::BOOKMARK,
                    _ => DatasetTypes::POOL,
                }
        });
        // A newer release may have it for more kinds of dataset.
        (!info.types.contains(types)).then(|| format!("it is a property of {types} too"))
    }

    fn word_difference(&self, info: &PropertyInfo) -> Option<String> {
        let PropertyKind::Index(words) = info.kind else { return None };
        // Announced as yes and no, and shown as on and off.
        if info.name == "defer_destroy" {
            return None;
        }
        self.values
            .split('|')
            .map(str::trim)
            .filter(|word| !word.is_empty() && !word.contains('['))
            .find(|word| !words.iter().any(|(known, _)| known == word))
            .map(|word| format!("the table does not have the word '{word}'"))
    }
}

fn scope_of(word: &str) -> PropertyScope {
    if word == "pool" { PropertyScope::Pool } else { PropertyScope::Dataset }
}

fn parse_version(text: &str) -> ModuleVersion {
    ModuleVersion::parse(text).expect("a version")
}
