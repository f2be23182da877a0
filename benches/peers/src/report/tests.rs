use super::*;

fn cell(engine: &str, wall_ns: f64, failure: Option<&str>) -> Cell {
    let figures = Figures { wall_ns, cpu_ns: wall_ns / 2.0, ..Figures::default() };
    Cell {
        workload: "get uniform".into(),
        engine: engine.into(),
        figures: failure.is_none().then_some(figures),
        failure: failure.map(Into::into),
    }
}

fn results(cells: Vec<Cell>) -> Results {
    let engines = cells.iter().map(|cell| cell.engine.clone()).collect();
    Results { scale: Scale::QUICK, machine: Machine::here(), engines, cells }
}

#[test]
fn the_best_is_bold_and_a_loss_is_told() {
    let text = document(&results(vec![cell("aether", 300.0, None), cell("lmdb", 200.0, None)]));
    assert!(text.contains("| get uniform | 300 ns (150 ns) | **200 ns (100 ns)** |"), "{text}");
    assert!(
        text.contains("| get uniform | 300 ns (150 ns) | lmdb 200 ns (100 ns) | 1.50 | 1.50 |"),
        "{text}"
    );
}

#[test]
fn a_failed_cell_is_told_with_its_reason() {
    let text = document(&results(vec![cell("aether", 300.0, None), cell("lmdb", 0.0, Some("wrong answer"))]));
    assert!(text.contains("| failed |") && text.contains("- get uniform, lmdb: wrong answer"), "{text}");
}

#[test]
fn every_engine_says_how_it_is_set() {
    let cells = adapters::PEERS.iter().map(|peer| cell(peer.name, 1.0, None)).collect();
    let text = settings(&results(cells));
    assert!(adapters::PEERS.iter().all(|peer| text.contains(peer.each) && peer.version() != "?"), "{text}");
}
