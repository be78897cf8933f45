//! The reference page of the settings is made from their table.

use std::fs;
use std::path::Path;

use longattn::config::SETTINGS;

/// Set to write the page anew instead of checking it.
const UPDATE: &str = "LONGATTN_UPDATE_REFERENCE";

fn page() -> String {
    let mut page = String::from(
        "# Settings\n\nEach setting is a flag of the command line, `--min-distance` for `min_distance`, and a key of \
         `Config::set` in Rust and `longattn_config_set` in C. A wrong key or value is an error that lists what is \
         valid.\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n",
    );
    for setting in SETTINGS {
        let (key, valid, default, help) = (setting.key, (setting.valid)(), setting.default(), setting.help);
        page += &format!("| `{key}` | {valid} | `{default}` | {help} |\n");
    }
    page
}

#[test]
fn the_page_of_settings_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, page()).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page(), "docs/settings.md is stale: run {UPDATE}=1 cargo test --test reference");
}
