//! The manual page and the completion for bash, both made of the table of commands. They print nothing.

use std::fmt::Write;

use super::table::{COMMANDS, Flag};
use super::{capital, first_words, group};
use crate::shell::config::DEFAULT_PATH;

/// Values that are paths, which the shell completes by itself.
const PATHS: [&str; 3] = ["FILE", "DIR", "BACKUP"];

/// The manual page, section 1, in the language of man(7).
pub(super) fn page() -> String {
    let mut page = format!(
        ".TH EDGEPOOL 1 \"\" \"edgepool {}\" \"User Commands\"\n\
         .SH NAME\nedgepool \\- a mining pool for one board: pays miners straight from the coinbase\n\
         .SH SYNOPSIS\n.B edgepool\n.I COMMAND\n[\\fIOPTIONS\\fR]\n\
         .SH DESCRIPTION\nRigs point at it by stratum; it takes block templates from a coin node and builds the coinbase \
         itself, so that every block pays the miners directly. What a coinbase can\\(aqt pay is carried in a ledger.\n\
         .SH COMMANDS\n",
        env!("CARGO_PKG_VERSION")
    );
    for entry in COMMANDS {
        write(&mut page, format_args!(".SS edgepool {}\n{}.\n", roff(&entry.usage()), roff(&capital(entry.about))));
        for flag in entry.flags {
            write(&mut page, format_args!(".TP\n.B {}\n{}\n", roff(&flag.to_string()), roff(flag.about)));
        }
        write(&mut page, format_args!(".PP\n{}\n", roff(entry.more)));
    }
    page + &format!(
        ".SH OPTIONS\n.TP\n.B \\-\\-help\nafter any command tells more.\n.TP\n.B \\-\\-version\nprints the version.\n\
         .SH EXIT STATUS\n0: done; 1: failed while running; 2: wrong usage or configuration; 3: not everything could be checked (ledger verify\n\
         and rebuild).\n\
         .SH ENVIRONMENT\n.TP\n.B RUST_LOG\nhow much is logged: error, warn, info (the default of run), debug or trace.\n\
         .SH FILES\n.TP\n.I {DEFAULT_PATH}\nthe configuration. \"edgepool check\" names every mistake in it.\n\
         .TP\n.I /var/lib/edgepool\nthe ledger and the admin token, unless \"data_dir\" names another place.\n"
    )
}

/// What bash reads to complete a line that begins with `edgepool`.
pub(super) fn completion() -> String {
    let groups = first_words().into_iter().filter(|word| !group(word).is_empty());
    let mut cases = String::new();
    for entry in COMMANDS {
        let flags: String = entry.flags.iter().map(|flag| format!("--{} ", flag.name)).collect();
        write(&mut cases, format_args!("        '{}') words='{flags}--help' ;;\n", entry.name));
    }
    let mut seconds = String::new();
    for name in groups.clone() {
        write(&mut seconds, format_args!("        {name}) words='{} --help' ;;\n", group(name).join(" ")));
    }
    let with = |wanted: fn(&&Flag) -> bool| {
        let mut names: Vec<String> = COMMANDS
            .iter()
            .flat_map(|entry| entry.flags)
            .filter(wanted)
            .map(|flag| format!("--{}", flag.name))
            .collect();
        names.sort();
        names.dedup();
        names.join("|")
    };
    let paths = with(|flag| PATHS.contains(&flag.value));
    let others = with(|flag| !flag.value.is_empty() && !PATHS.contains(&flag.value));
    let firsts = first_words().join(" ");
    let groups = groups.collect::<Vec<&str>>().join("|");
    format!(
        r#"# Completion of edgepool for bash, as "edgepool completion" prints it.
_edgepool() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} first=${{COMP_WORDS[1]}} words=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='{firsts} help --help --version'
    elif [ "$COMP_CWORD" -eq 2 ] && [[ $first == @({groups}) ]]; then
        case $first in
{seconds}        esac
    else
        case ${{COMP_WORDS[COMP_CWORD-1]}} in
            # Where nothing is answered here, bash completes a path.
            {paths}) return ;;
            {others}) compopt +o default 2>/dev/null; return ;;
        esac
        [[ $first != @({groups}) ]] || first+=" ${{COMP_WORDS[2]}}"
        [[ $word == -* ]] || return
        case $first in
{cases}        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o default -F _edgepool edgepool
"#
    )
}

/// Text that roff shows as it is: a hyphen that can be copied, and no line that it takes for a request.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.into() })
        .collect::<Vec<String>>()
        .join("\n")
}

fn write(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_tells_of_every_command_and_option() {
        let page = page();
        for entry in COMMANDS {
            assert!(page.contains(&format!(".SS edgepool {}", roff(&entry.usage()))), "{}", entry.name);
            assert!(page.contains(&roff(entry.more)), "{}", entry.name);
            for flag in entry.flags {
                assert!(page.contains(&format!(".B {}\n{}", roff(&flag.to_string()), roff(flag.about))), "{flag}");
            }
        }
    }

    #[test]
    fn text_stays_text_in_roff() {
        assert_eq!(roff("--a \\\n.b\n'c'"), "\\-\\-a \\e\n\\&.b\n\\&'c'");
    }
}
