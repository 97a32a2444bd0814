// SPDX-License-Identifier: Apache-2.0
#include "feedback/web_page.h"

namespace plumb::feedback {
namespace {

const char* const kHead = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>plumb feedback</title><link rel="icon" href="data:,">
<style nonce="@NONCE@">
:root{color-scheme:light dark;--page:#fff;--ink:#1b2027;--muted:#5b6470;--rule:#d5dae0;--soft:#f3f5f7;--key:#fff;--link:#0067a8;--like:#00664b;--like-soft:#e2f3ec;
--bad:#a32b00;--bad-soft:#fdf0ea;--a:#00704f;--c:#0067a8;--g:#8a5a00;--t:#b3261e;--other:#5b6470}
@media (prefers-color-scheme:dark){:root{--page:#14181d;--ink:#e8ebef;--muted:#9aa4b0;--rule:#3a424c;--soft:#1d232a;--key:#2a313a;--link:#5cb0ea;--like:#5fd3b0;
--like-soft:#15302a;--bad:#ff9d75;--bad-soft:#33201a;--a:#5fd3b0;--c:#6bb8f0;--g:#e6b455;--t:#ff9088;--other:#9aa4b0}}
*{box-sizing:border-box}
[hidden]{display:none!important}
html,body{height:100%}
body{margin:0;display:flex;flex-direction:column;background:var(--page);color:var(--ink);font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main,footer{width:100%;max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1rem}
h1{font-size:1.3rem;line-height:1.25;margin:0;letter-spacing:-.01em}
#hint{margin:.15rem 0 0;color:var(--muted);min-height:1.45em}
#where{display:flex;gap:.75rem;align-items:center;margin:.6rem 0 .8rem;color:var(--muted);font-size:.9rem;font-variant-numeric:tabular-nums}
progress{flex:1;height:.5rem;appearance:none;border:0;border-radius:.25rem;overflow:hidden;background:var(--soft)}
progress::-webkit-progress-bar{background:var(--soft)}
progress::-webkit-progress-value{background:var(--link)}
progress::-moz-progress-bar{background:var(--link)}
main{flex:1 0 auto;display:flex;align-items:flex-start;justify-content:center}
#tiles{display:grid;gap:.75rem;grid-template-columns:repeat(var(--cols),minmax(0,1fr));margin:0 auto;
width:min(100%,calc(((100vh - 12.2rem)/var(--rows) - 3rem)*var(--cols) + .75rem*(var(--cols) - 1)),calc(22rem*var(--cols)));min-width:min(100%,calc(6rem*var(--cols)))}
#tiles.text{width:100%;max-width:60rem}
#tiles.lines .tile{flex-direction:row-reverse;justify-content:flex-end}
#tiles.lines .letters{flex:1}
#tiles.lines .foot{flex:0 0 7.2rem;align-items:flex-start;padding:.65rem .6rem;margin:0;border-top:0;border-right:1px solid var(--rule)}
#tiles.captioned{width:min(100%,calc(((100vh - 12.2rem)/var(--rows) - 5.5rem)*var(--cols)))}
.tile{display:flex;flex-direction:column;width:100%;padding:0;border:2px solid var(--rule);border-radius:.5rem;overflow:hidden;background:var(--soft);color:inherit;font:inherit;text-align:left}
button.tile{cursor:pointer}
.tile img{display:block;width:100%;aspect-ratio:1;object-fit:contain;image-rendering:pixelated;background:var(--page)}
.tile .prompt{padding:.35rem .6rem;font-size:.85rem;line-height:1.3;border-bottom:1px solid var(--rule)}
.tile .foot{display:flex;align-items:center;gap:.5rem;padding:.3rem .5rem;min-height:2.3rem;border-top:1px solid var(--rule);margin-top:auto}
.tile .mark{font-size:.9rem;white-space:nowrap;color:var(--muted)}
.tile.like{border-color:var(--like)}.tile.like .foot{background:var(--like-soft)}.tile.like .mark{color:var(--like);font-weight:600}
.tile.dislike{border-color:var(--bad)}.tile.dislike .foot{background:var(--bad-soft)}.tile.dislike .mark{color:var(--bad);font-weight:600}
.tile.dislike img,.tile.dislike .letters,.tile.dislike .numbers{opacity:.55}
.letters{padding:.6rem .75rem;font:1rem/1.7 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;letter-spacing:.08em;overflow-wrap:anywhere;background:var(--page)}
.letters span{white-space:nowrap;margin-right:.6em}
.letters b{font-weight:600}
.la{color:var(--a)}.lc{color:var(--c)}.lg{color:var(--g)}.lt{color:var(--t)}.lo{color:var(--other)}
.numbers{display:grid;grid-template-columns:repeat(auto-fill,minmax(5.2rem,1fr));gap:.1rem .5rem;padding:.6rem .75rem;font:.9rem/1.5 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;
text-align:right;background:var(--page);font-variant-numeric:tabular-nums}
.numbers .more{grid-column:1/-1;color:var(--muted);text-align:left}
footer{position:sticky;bottom:0;background:var(--page);padding-top:.7rem;padding-bottom:.9rem}
#keys{display:flex;flex-wrap:wrap;gap:.4rem;align-items:center}
#keys button,dialog button{display:inline-flex;align-items:center;gap:.45rem;min-height:2.4rem;padding:.25rem .6rem;border:1px solid var(--rule);border-radius:.45rem;background:var(--soft);color:var(--ink);font:inherit;cursor:pointer}
#keys button.main{background:var(--link);border-color:var(--link);color:var(--page);font-weight:600}
#keys button:disabled{opacity:.45;cursor:default}
#keys .gap{flex:1}
button:focus-visible{outline:3px solid var(--link);outline-offset:2px}
kbd{display:inline-block;min-width:1.55em;padding:.05em .4em;border:1px solid var(--rule);border-bottom-width:2px;border-radius:.3em;background:var(--key);color:var(--ink);font:600 .82em/1.45 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;text-align:center}
#alert{position:fixed;z-index:1;top:.6rem;left:50%;transform:translateX(-50%);width:min(70rem,calc(100% - 1.5rem));box-shadow:0 .2rem .8rem rgba(0,0,0,.25);padding:.6rem 1rem;border:1px solid var(--bad);border-left-width:.4rem;border-radius:.35rem;background:var(--bad-soft);color:var(--bad)}
#message{max-width:40rem;margin:12vh auto 0;text-align:center;font-size:1.2rem}
#message small{display:block;margin-top:.5rem;color:var(--muted);font-size:.95rem}
dialog{border:1px solid var(--rule);border-radius:.6rem;background:var(--page);color:var(--ink);padding:1.25rem 1.5rem;max-width:34rem}
dialog::backdrop{background:rgba(0,0,0,.45)}
dialog h2{margin:0 0 .6rem;font-size:1.1rem}
dialog dl{display:grid;grid-template-columns:auto 1fr;gap:.4rem .9rem;margin:0 0 1rem}
dialog dt{text-align:right}dialog dd{margin:0}dialog p{margin:0 0 1rem;color:var(--muted)}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (max-width:40rem){#tiles.lines .tile{flex-direction:column}#tiles.lines .foot{flex:none;padding:.3rem .5rem;border-right:0;border-top:1px solid var(--rule)}header,main,footer{padding-left:.75rem;padding-right:.75rem}#keys .gap{flex-basis:100%;height:0}}
</style></head>
<body>
<div id="alert" role="alert" hidden></div>
<header><h1 id="text">plumb feedback</h1><p id="hint"></p>
<div id="where"><span id="done"></span><progress id="bar" max="1" value="0" aria-label="answered"></progress><span id="left"></span></div></header>
<main><div id="tiles"></div><div id="message" hidden></div></main>
<footer><div id="keys" role="toolbar" aria-label="answers"></div></footer>
<div id="live" class="sr" aria-live="polite"></div>
<dialog id="help" aria-labelledby="helptitle"><h2 id="helptitle">Keys</h2><dl id="helplist"></dl>
<p>An answer is on the disk before the next is shown. You may close this page or lose the connection at any time: open the address again, or run the same command again, to go on.</p>
<button id="close"><kbd>Esc</kbd> Close</button></dialog>
)html";

const char* const kScript = R"js(<script nonce="@NONCE@">
'use strict';
const $ = id => document.getElementById(id), token = new URLSearchParams(location.search).get('token') || '';
let state = null, marks = [], most = 0, busy = false, shownAt = 0, timer = 0;
const remembered = new Map();   // marks of screens that were sent, for undo
const node = (tag, name, text) => { const n = document.createElement(tag); if (name) n.className = name; if (text !== undefined) n.textContent = text; return n; };
const screenKey = () => state.first + ' ' + (state.text || '');   // the text tells the rounds of a run apart
const draftKey = () => 'plumb feedback ' + token + ' ' + screenKey();
function saveDraft(keep) { try { keep ? localStorage.setItem(draftKey(), JSON.stringify(marks)) : localStorage.removeItem(draftKey()); } catch (e) {} }
function loadDraft() { try { return JSON.parse(localStorage.getItem(draftKey())); } catch (e) { return null; } }

async function call(path, body) {
  const how = {headers: {'X-Plumb-Token': token}, cache: 'no-store'};
  if (body) { how.method = 'POST'; how.headers['Content-Type'] = 'application/json'; how.body = JSON.stringify(body); }
  const answer = await fetch(path, how);
  if (answer.status === 403) throw new Error(await answer.text());
  return {status: answer.status, json: await answer.json()};
}
function alertText(text) { $('alert').hidden = !text; if ($('alert').textContent !== text) $('alert').textContent = text; }
const lost = 'The command cannot be reached: it has ended, or the connection is gone. The answers you gave are saved; the same command again goes on. Trying again …';

async function send(path, extra) {
  if (busy || !state) return;
  busy = true;
  try {
    const got = await call(path, {state: state.state, ...extra});
    if (got.status === 400) alertText(got.json.error); else { alertText(''); await show(got.json); }
  } catch (e) { alertText(e instanceof TypeError ? lost : e.message); }
  busy = false;
  poll();
}
async function poll() {
  clearTimeout(timer);
  if (!busy) {
    try {
      const got = await call('/state');
      alertText('');
      if (!busy && (!state || got.json.state !== state.state)) await show(got.json);
    } catch (e) { if (!state || !['done', 'saved'].includes(state.status)) alertText(e instanceof TypeError ? lost : e.message); }
  }
  if (!state || !['done', 'saved'].includes(state.status)) timer = setTimeout(poll, state && state.status === 'wait' ? 400 : 3000);
}

const nucleic = text => /^[ACGTUN-]*$/i.test(text);
function letterClass(c, dna) {
  c = c.toUpperCase();
  if (dna) return c === 'A' ? 'la' : c === 'C' ? 'lc' : c === 'G' ? 'lg' : 'TU'.includes(c) ? 'lt' : 'lo';
  return 'GSTYC'.includes(c) ? 'la' : 'KRH'.includes(c) ? 'lc' : 'NQ'.includes(c) ? 'lg' : 'DE'.includes(c) ? 'lt' : 'lo';
}
function lettersNode(text) {
  const box = node('div', 'letters'), dna = nucleic(text);
  box.setAttribute('role', 'img'); box.setAttribute('aria-label', text);
  for (let i = 0; i < text.length; i += 10) {
    const group = node('span');
    for (const c of text.slice(i, i + 10)) group.append(node('b', letterClass(c, dna), c));
    box.append(group);
  }
  return box;
}
function numbersNode(values) {
  const box = node('div', 'numbers');
  for (const v of values.slice(0, 64)) box.append(node('span', '', v === 0 ? '0' : Math.abs(v) >= 1e-3 && Math.abs(v) < 1e5 ? Number(v.toPrecision(4)).toString() : v.toExponential(2)));
  if (values.length > 64) box.append(node('span', 'more', '… and ' + (values.length - 64) + ' more'));
  return box;
}
const leave = (button, click) => { if (click.detail) button.blur(); };   // of the mouse: Enter behind it is still Next; of the keyboard: the place stays
function tileNode(tile, place, clickable) {
  const box = node(clickable ? 'button' : 'div', 'tile');
  if (tile.prompt) box.append(node('div', 'prompt', tile.prompt));
  if (tile.png) { const img = node('img'); img.alt = 'picture ' + place; img.src = 'data:image/png;base64,' + tile.png; box.append(img); }
  else box.append(tile.letters ? lettersNode(tile.letters) : numbersNode(tile.numbers || []));
  const foot = node('div', 'foot');
  if (clickable) foot.append(node('kbd', '', place));
  foot.append(node('span', 'mark'));
  box.append(foot);
  if (clickable) box.onclick = e => { leave(box, e); press(String(place)); };
  return box;
}

const texts = {
  single: ['Which do you like?', 'Press the numbers of those you like; Enter counts the others as disliked.'],
  pairs: ['Which is better?', 'Press 1 or 2, or an arrow key; 0 if they are equally good.'],
  rank: ['Order these, the best first.', 'Press the numbers in your order; what is left out shares the last place.'],
  rating: ['How good is it?', 'Press 1 (bad) to 5 (great).']};
function tiles() { return state.mode === 'single' ? state.questions.map(q => q.tiles[0]) : state.questions[0].tiles; }

async function show(next) {
  state = next;
  const asking = state.status === 'ask';
  $('tiles').hidden = !asking; $('message').hidden = asking;
  $('text').hidden = !asking; $('where').hidden = !asking && state.status !== 'done';   // what it says is of the screen before
  if (!asking) {
    $('message').replaceChildren(state.message || '', node('small', '', state.status === 'wait' ? 'This page goes on by itself.' : 'You can close this page.'));
    $('hint').textContent = '';
    if (state.status === 'done') { $('bar').value = $('bar').max; $('done').textContent = 'all answered'; $('left').textContent = ''; }
    $('live').textContent = state.message || ''; document.title = 'plumb feedback';
    return drawKeys();
  }
  const shown = tiles(), n = shown.length, text = !shown[0].png;
  most = Math.max(most, n);   // a last screen with fewer keeps the size
  const cols = text ? (n === 2 || shown[0].numbers ? Math.min(n, 2) : 1) : most === 4 ? 2 : most > 4 ? 3 : most;
  const boxes = shown.map((tile, k) => tileNode(tile, k + 1, state.mode !== 'rating'));
  await Promise.all(boxes.map(b => { const img = b.querySelector('img'); return img ? img.decode().catch(() => {}) : 0; }));
  marks = loadDraft() || remembered.get(screenKey()) || [];
  if (!Array.isArray(marks) || marks.length > n) marks = [];
  const grid = $('tiles');
  grid.className = text ? 'text' + (shown[0].letters && cols === 1 && n > 1 ? ' lines' : '') : shown.some(t => t.prompt) ? 'captioned' : '';
  grid.style.setProperty('--cols', cols); grid.style.setProperty('--rows', Math.ceil(most / cols));
  grid.replaceChildren(...boxes);
  $('text').textContent = state.text || texts[state.mode][0]; $('hint').textContent = texts[state.mode][1];
  const left = state.total - state.first;
  $('bar').max = state.total; $('bar').value = state.first;
  $('done').textContent = state.first + ' of ' + state.total + ' answered'; $('left').textContent = left + ' left';
  document.title = '(' + left + ' left) plumb feedback';
  $('live').textContent = (n > 1 ? n + ' items. ' : '') + left + ' questions left.';
  draw(); drawKeys();
  shownAt = performance.now();
}
function draw() {
  document.querySelectorAll('.tile').forEach((box, k) => {
    const mark = box.querySelector('.mark');
    let name = '', text = '';
    if (state.mode === 'single') { name = marks[k] === 1 ? 'like' : marks[k] === -1 ? 'dislike' : ''; text = name === 'like' ? '♥ like' : name ? '✕ dislike' : ''; }
    if (state.mode === 'rank') { const at = marks.indexOf(k); name = at >= 0 ? 'like' : ''; text = at >= 0 ? '#' + (at + 1) : ''; }
    if (state.mode === 'pairs') text = k ? 'or →' : 'or ←';
    box.className = 'tile ' + name; mark.textContent = text;
    if (state.mode === 'single' || state.mode === 'rank') { box.setAttribute('aria-pressed', name === 'like'); box.setAttribute('aria-label', 'item ' + (k + 1) + (text ? ', ' + text : '')); }
    else box.setAttribute('aria-label', 'item ' + (k + 1));
  });
}
function button(key, label, action, main, off) {
  const b = node('button', main ? 'main' : ''); b.append(node('kbd', '', key), label); b.disabled = !!off; b.onclick = e => { leave(b, e); action(); }; return b;
}
function drawKeys() {
  const keys = [], asking = state.status === 'ask', over = ['done', 'saved'].includes(state.status);
  if (asking && state.mode === 'pairs') keys.push(button('0', 'Equal', () => press('0')));
  if (asking && state.mode === 'rating') ['bad', 'poor', 'fair', 'good', 'great'].forEach((word, k) => keys.push(button(k + 1, word, () => press(String(k + 1)))));
  if (asking && (state.mode === 'single' || state.mode === 'rank')) keys.push(button('Enter', 'Next', () => press('Enter'), true));
  if (asking) keys.push(button('s', state.mode === 'single' && state.questions.length > 1 ? 'Skip the unmarked' : 'Skip', () => press('s')), button('z', 'Undo', () => press('z'), false, !state.undo));
  keys.push(node('span', 'gap'));
  if (!over) keys.push(button('?', 'Help', () => press('?')), button('q', 'Save and quit', () => press('q')));
  $('keys').replaceChildren(...keys);
}
function answer(list) {
  remembered.set(screenKey(), marks.slice()); saveDraft(false);
  send('/answer', {answers: list, ms: Math.round(performance.now() - shownAt)});
}
function rankList() { const n = tiles().length; return tiles().map((t, k) => marks.includes(k) ? marks.indexOf(k) + 1 : Math.min(marks.length + 1, n)); }
function press(key) {
  if (!state || busy) return;
  if (key === '?') return help();
  if (key === 'q' && !['done', 'saved'].includes(state.status)) return send('/quit', {});
  if (state.status !== 'ask') return;
  const n = tiles().length, digit = /^[1-9]$/.test(key) ? Number(key) : 0, mode = state.mode;
  if (key === 'z') { if (state.undo) send('/undo', {}); return; }
  if (mode === 'single') {
    if (digit && digit <= n) { const k = digit - 1; marks[k] = marks[k] === 1 ? -1 : marks[k] === -1 ? 0 : 1; saveDraft(true); draw(); }
    if (key === 'Enter') answer(tiles().map((t, k) => ({y: marks[k] || -1})));
    if (key === 's') answer(tiles().map((t, k) => ({y: marks[k] || null})));
  } else if (mode === 'pairs') {
    const y = key === '1' || key === 'ArrowLeft' ? 1 : key === '2' || key === 'ArrowRight' ? -1 : key === '0' || key === 'ArrowDown' ? 0 : key === 's' || key === 'ArrowUp' ? null : undefined;
    if (y !== undefined) answer([{y}]);
  } else if (mode === 'rating') {
    if (digit && digit <= 5) answer([{rating: digit}]); else if (key === 's') answer([{rating: null}]);
  } else {
    if (digit && digit <= n) { const k = digit - 1, at = marks.indexOf(k); at >= 0 ? marks.splice(at, 1) : marks.push(k); saveDraft(true); draw(); }
    if (key === 'Enter' && marks.length) answer([{ranks: rankList()}]);
    if (key === 's') answer([{ranks: null}]);
  }
}
function help() {
  const rows = {single: [['1 … 9', 'like; once more: dislike; once more: unmarked'], ['Enter', 'next: what is unmarked counts as disliked'], ['s', 'next, but what is unmarked is skipped']],
    pairs: [['1 ←', 'the first is better'], ['2 →', 'the second is better'], ['0 ↓', 'equally good'], ['s ↑', 'skip']],
    rank: [['1 … 9', 'the next best; once more: not yet placed'], ['Enter', 'next: what has no place shares the last'], ['s', 'skip']],
    rating: [['1 … 5', 'bad … great'], ['s', 'skip']]}[state.mode || 'single'].concat([['z', 'undo: back to the last screen'], ['q', 'save and quit'], ['?', 'this help']]);
  $('helplist').replaceChildren(...rows.flatMap(([key, what]) => { const dt = node('dt'); key.split(' ').forEach(k => dt.append(k === '…' ? ' … ' : node('kbd', '', k), ' ')); return [dt, node('dd', '', what)]; }));
  $('help').showModal();
}
$('close').onclick = () => $('help').close();
document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if ($('help').open) { if (e.key === '?' || e.key === 'Enter') { e.preventDefault(); $('help').close(); } return; }
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  if (!/^([0-9szq?]|Enter|Arrow(Left|Right|Up|Down))$/.test(key)) return;
  if (e.key.startsWith('Arrow') && (!state || state.mode !== 'pairs')) return;
  if (key === 'Enter' && document.activeElement.closest('button')) { if (e.repeat) e.preventDefault(); return; }   // that button's own
  e.preventDefault();
  if (!e.repeat) press(key);
});
poll();
</script></body></html>
)js";

}  // namespace

std::string web_page(const std::string& nonce) {
  std::string page = kHead;
  page += kScript;
  const std::string place = "@NONCE@";
  for (size_t at; (at = page.find(place)) != std::string::npos;) page.replace(at, place.size(), nonce);
  return page;
}

}  // namespace plumb::feedback
