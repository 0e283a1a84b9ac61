//! Any configuration is written into files of any form, and all comments are still there.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::changes::{change, valid};
use crate::config::{
    Check, Config, Pool, Target, WeightedBackend, WhenDown, check, duration_text, write_files,
};

/// How a file is written that says a configuration.
#[derive(Clone, Debug)]
struct Style {
    pools: u8,
    routes: u8,
    settings: bool,
    lists_in_lines: bool,
    comma_at_the_end: bool,
    newline_at_the_end: bool,
    one_file: bool,
}

fn style() -> impl Strategy<Value = Style> {
    (0..5u8, 0..4u8, any::<[bool; 5]>()).prop_map(|(pools, routes, flags)| Style {
        pools,
        routes,
        settings: flags[0],
        lists_in_lines: flags[1],
        comma_at_the_end: flags[2],
        newline_at_the_end: flags[3],
        one_file: flags[4],
    })
}

/// The texts of a main file, an included one, and a plain one.
#[derive(Default)]
struct Texts {
    /// Top-level keys of the main file, which come before all sections.
    top: String,
    main: String,
    toml: String,
    plain: String,
    comments: usize,
}

impl Style {
    fn plain() -> Self {
        Self {
            pools: 0,
            routes: 0,
            settings: false,
            lists_in_lines: false,
            comma_at_the_end: false,
            newline_at_the_end: false,
            one_file: true,
        }
    }

    fn texts(&self, config: &Config) -> [String; 3] {
        let mut texts = Texts::default();
        texts.settings(self, config);
        texts.pools(self, config);
        texts.routes(self, config);
        let Texts { top, main, toml, plain, .. } = texts;
        let end = if self.newline_at_the_end { "\n# end\n" } else { "" };
        [format!("{top}{}{end}", main.trim_end()), format!("{}{end}", toml.trim_end()), plain]
    }

    fn list(&self, values: &[String], inside: &mut impl FnMut() -> String) -> String {
        let comma = if self.comma_at_the_end && !values.is_empty() { "," } else { "" };
        if !self.lists_in_lines {
            return format!("[{}{comma}]", values.join(", "));
        }
        let mut list = "[\n".to_owned();
        for (index, value) in values.iter().enumerate() {
            let comma = if index + 1 < values.len() { "," } else { comma };
            list += &format!("{}    {value}{comma} # beside\n", inside());
        }
        list + &inside() + "]"
    }
}

fn backend(WeightedBackend { address, weight, drained, tier }: &WeightedBackend) -> String {
    let drained = if *drained { ", drained = true" } else { "" };
    match (weight, drained, tier) {
        (1, "", 1) => format!("'{address}'"),
        _ => format!("{{ address = \"{address}\", weight = {weight}{drained}, tier = {tier} }}"),
    }
}

impl Texts {
    fn comment(&mut self) -> String {
        self.comments += 1;
        format!("# comment {}\n", self.comments)
    }

    /// A comment within a list, which may go with the list.
    fn inside(&mut self) -> String {
        self.comment().replace("comment", "inside")
    }

    fn settings(&mut self, style: &Style, config: &Config) {
        let comment = self.comment();
        self.top += &format!("{comment}include = [\"*.in.toml\", \"routes\"]\n");
        let quoted =
            |values: Vec<String>| values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>();
        let addresses = config.listen.addresses.iter().map(ToString::to_string).collect();
        let addresses = style.list(&quoted(addresses), &mut || self.inside());
        let interfaces = quoted(config.listen.interfaces.clone()).join(", ");
        let comment = self.comment();
        if style.settings {
            self.main +=
                &format!("[listen]\ninterfaces = [{interfaces}]\n{comment}addresses = {addresses} # x\n");
        } else {
            self.top +=
                &format!("listen.interfaces = [{interfaces}]\n{comment}listen.addresses = {addresses}\n");
        }
    }

    fn pools(&mut self, style: &Style, config: &Config) {
        let mut inline = Vec::new();
        for (index, (name, pool)) in config.pools.iter().enumerate() {
            let comment = self.comment();
            let entries = self.entries(style, pool);
            let lines: String = entries.iter().map(|entry| format!("{comment}{entry} # beside\n")).collect();
            if index == 1 && !style.one_file {
                self.toml += &format!("[pools.{name}]\n{lines}");
                continue;
            }
            match style.pools {
                0 => {
                    for entry in entries {
                        self.top += &format!("{comment}pools.{name}.{entry} # beside\n");
                    }
                }
                1 => {
                    let head = if inline.is_empty() { "[pools]\n" } else { "" };
                    inline.push(String::new());
                    let one_line = Self::entries_in_a_line(pool);
                    self.main += &format!("{head}{comment}{name} = {{ {one_line} }} # beside\n");
                }
                2 => self.main += &format!("{comment}[pools.{name}] # beside\n{lines}"),
                3 => self.main += &Self::tables(name, pool, &comment),
                _ => inline.push(format!("{name} = {{ {} }}", Self::entries_in_a_line(pool))),
            }
        }
        if style.pools == 4 && !inline.is_empty() {
            self.top += &format!("pools = {{ {} }}\n", inline.join(", "));
        }
    }

    fn entries(&mut self, style: &Style, pool: &Pool) -> Vec<String> {
        let backends: Vec<_> = pool.backends.iter().map(backend).collect();
        let mut entries = vec![format!("backends = {}", style.list(&backends, &mut || self.inside()))];
        entries.extend(pool.primary.map(|primary| format!("primary = \"{primary}\"")));
        entries.extend(pool.proxy_protocol.then(|| "proxy_protocol = true".to_owned()));
        if let Some(switch) = &pool.switch {
            entries.push(format!("switch.to = \"{}\"", switch.to));
            entries.push(format!("switch.percent = {}", switch.percent));
        }
        if pool.when_down != WhenDown::Servfail {
            entries.push(format!("when_down = '{}'", pool.when_down));
        }
        if pool.health.interval != Check::default().interval {
            let interval = duration_text(pool.health.interval);
            entries.push(format!("health.interval = \"{interval}\""));
        }
        entries.extend(pool.health.query.as_ref().map(|query| format!("health.query = \"{query}\"")));
        entries
    }

    fn entries_in_a_line(pool: &Pool) -> String {
        Self::default().entries(&Style::plain(), pool).join(", ")
    }

    /// A pool without a header of its own, if it has nothing but backends.
    fn tables(name: &str, pool: &Pool, comment: &str) -> String {
        let mut text = String::new();
        let entries = Self::default().entries(&Style::plain(), pool);
        let others: String = entries[1..].iter().map(|entry| format!("{entry}\n")).collect();
        if !others.is_empty() {
            text += &format!("[pools.{name}]\n{others}{comment}");
        }
        for WeightedBackend { address, weight, drained, tier: _ } in &pool.backends {
            text += &format!("{comment}[[pools.{name}.backends]] # beside\naddress = \"{address}\"\n");
            text +=
                &format!("{comment}weight = {weight}\n{}", if *drained { "drained = true\n" } else { "" });
        }
        text
    }

    fn routes(&mut self, style: &Style, config: &Config) {
        let (mut inline, mut tables) = (Vec::new(), String::new());
        let mut heads = ["[routes]\n"; 2];
        for (index, (pattern, target)) in config.routes.iter().enumerate() {
            let key = format!("'{}'", pattern.to_string().to_ascii_uppercase());
            let value = match target {
                Target::Pool(pool) => format!("\"{pool}\""),
                Target::Answer(answer) => format!("{{ answer = '{answer}' }}"),
            };
            let comment = self.comment();
            let line = format!("{comment}{key}={value} # beside\n");
            match (index % 3, style.one_file) {
                (0, false) => {
                    self.plain += &format!("{comment}{pattern}.\t{target}  # beside\n").replace("..", ".");
                    continue;
                }
                (1, false) => {
                    self.toml += &(std::mem::take(&mut heads[1]).to_owned() + &line);
                    continue;
                }
                _ => {}
            }
            match (style.routes, target) {
                (0, _) | (3, Target::Pool(_)) => {
                    self.main += &(std::mem::take(&mut heads[0]).to_owned() + &line);
                }
                (1, _) => self.top += &format!("{comment}routes.{key} = {value}\n"),
                (3, Target::Answer(answer)) => {
                    tables += &format!("{comment}[routes.{key}]\n{comment}answer = \"{answer}\"\n");
                }
                _ => inline.push(format!("{key} = {value}")),
            }
        }
        if !inline.is_empty() {
            self.top += &format!("routes = {{ {} }}\n", inline.join(", "));
        }
        self.main += &tables;
    }
}

const FILES: [&str; 3] = ["main.toml", "more.in.toml", "routes"];

fn write(folder: &Path, texts: &[String; 3]) {
    for (name, text) in FILES.iter().zip(texts) {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn comments(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| line.starts_with('#')).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn files_say_what_runs_and_keep_their_comments(
        config in valid(),
        changes in proptest::collection::vec(change(), 1..4),
        style in style(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let texts = style.texts(&config);
        write(folder.path(), &texts);
        let main = folder.path().join(FILES[0]);
        let all = texts.join("\n=====\n");
        match Config::load(&main) {
            Ok(loaded) => prop_assert_eq!(&loaded, &config, "{}", all),
            Err(error) => return Err(TestCaseError::fail(format!("{all}\n{error}"))),
        }
        let mut new = config.clone();
        for change in &changes {
            let undo = new.make(change);
            if !check(&new).is_empty() {
                new.make(&undo);
            }
        }
        let rewrites = new.rewrites(&main).map_err(|error| {
            TestCaseError::fail(format!("{error}\n{all}\nis to say\n{}", toml::to_string(&new).unwrap()))
        })?;
        prop_assert_eq!(rewrites.is_empty(), config == new);
        write_files(&rewrites).unwrap();
        prop_assert_eq!(&Config::load(&main).unwrap(), &new);
        prop_assert!(new.rewrites(&main).unwrap().is_empty());
        for (name, text) in FILES.iter().zip(&texts) {
            let rewritten = fs::read_to_string(folder.path().join(name)).unwrap();
            let pools_gone = config.pools.keys().any(|name| !new.pools.contains_key(name));
            let stays = |comment: &&str| !pools_gone || !comment.contains("inside");
            let [left, had] = [&rewritten, text].map(|text| comments(text).into_iter().filter(stays).collect::<Vec<_>>());
            prop_assert_eq!(left, had, "{}\nbecame\n{}", text, rewritten);
        }
    }
}
