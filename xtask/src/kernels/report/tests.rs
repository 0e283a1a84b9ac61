use super::*;

const LINES: &str = "kernel\t6.1.0-57\r\n\
                     program\tdproxy\tplain\t484509\r\nprogram\tdproxy_egress\tplain\t1200\r\nframes\tplain\t657\r\n\
                     program\tdproxy\tlogging\t493191\n\
                     program\tdproxy_egress\tlogging\t1200\nframes\tlogging\t657\nend\n";

const OLD: Expected = Expected::Loaded { limit: 500_000 };
const TOO_OLD: Expected = Expected::Refused { naming: "6.1 or newer" };

fn judge(expected: &Expected, lines: &str) -> Result<(), String> {
    expected.judge("6.1.0-57", &Findings::parse(lines)?)
}

fn wrong(expected: &Expected, lines: &str, why: &str) {
    let judged = judge(expected, lines);
    assert!(judged.as_ref().is_err_and(|text| text.contains(why)), "{why}: {judged:?}");
}

#[test]
fn lines_are_read() {
    let findings = Findings::parse(LINES).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(findings.release.as_deref(), Some("6.1.0-57"));
    assert_eq!(findings.verified("dproxy", "plain"), Some(484_509));
    assert_eq!(findings.verified("dproxy", "logging"), Some(493_191));
    assert_eq!(findings.frames("logging"), Some(657));
    assert_eq!(findings.end, End::Done);
    for line in ["program\tdproxy\tplain\tmany", "program\tdproxy", "what\tis this", "end\tof it"] {
        assert!(Findings::parse(line).is_err_and(|error| error.contains("means nothing")), "{line}");
    }
}

#[test]
fn a_kernel_that_takes_the_programs_is_as_expected() {
    assert_eq!(judge(&OLD, LINES), Ok(()));
    wrong(&Expected::Loaded { limit: 490_000 }, LINES, "logging: dproxy has 493,191");
    wrong(&TOO_OLD, LINES, "should have been refused");
    let renamed = LINES.replace("kernel\t6.1.0-57", "kernel\t6.1.0-56");
    wrong(&OLD, &renamed, "calls itself 6.1.0-56");
}

#[test]
fn nothing_that_is_missing_goes_unseen() {
    let lines: Vec<_> = LINES.lines().collect();
    for missing in 0..lines.len() {
        let mut rest = lines.clone();
        let line = rest.remove(missing);
        assert!(judge(&OLD, &rest.join("\n")).is_err(), "without {line}");
        // As a machine leaves it that ends too early.
        assert!(judge(&OLD, &lines[..missing].join("\n")).is_err(), "up to {line}");
    }
    wrong(&OLD, &LINES.replace("frames\tplain\t657", "frames\tplain\t0"), "no frames");
    wrong(&OLD, &LINES.replace("end\n", "failed\t3 of 657 on the kernel\n"), "3 of 657");
}

#[test]
fn a_refusal_has_to_name_what_will_do() {
    let refused = |why: &str| format!("kernel\t6.1.0-57\nrefused\t{why}\n");
    assert_eq!(judge(&TOO_OLD, &refused("the fast path needs 6.1 or newer")), Ok(()));
    wrong(&TOO_OLD, &refused("invalid argument"), "does not name");
    wrong(&OLD, &refused("the fast path needs 6.1 or newer"), "refused:");
}

#[test]
fn a_kernel_that_hangs_is_reported_with_its_console() {
    let run = |ended| Run {
        lines: "kernel\t6.1.0-57\n".to_owned(),
        console: vec!["the last words".to_owned()],
        ended,
        duration: Duration::from_secs(7),
    };
    let kernel = Kernel { release: "6.1.0-57".to_owned(), ..Kernel::default() };
    let hung = Verdict::of(&kernel, &OLD, Ok(run(false)));
    assert!(!hung.is_as_expected());
    let text = hung.to_string();
    assert!(text.contains("hung for 7 s") && text.contains("the last words"), "{text}");
    assert!(!Verdict::of(&kernel, &OLD, Ok(run(true))).to_string().contains("hung"));
    assert!(table(&[hung]).contains("NOT AS EXPECTED"));
}

#[test]
fn the_table_has_a_line_for_each_program() {
    let run = Run { lines: LINES.to_owned(), console: Vec::new(), ended: true, duration: Duration::ZERO };
    let kernel = Kernel { release: "6.1.0-57".to_owned(), ..Kernel::default() };
    assert_eq!(
        table(&[Verdict::of(&kernel, &OLD, Ok(run))]),
        "kernel    program        verified  logging    limit  frames  result\n\
         6.1.0-57  dproxy          484,509  493,191  500,000   1,314  ok\n          \
         dproxy_egress     1,200    1,200  500,000       -\n"
    );
    assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
}
