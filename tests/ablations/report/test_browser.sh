#!/bin/sh
# The report of a real sweep in a browser: nothing in the console, nothing fetched, no sideways scrolling on a phone, dark where the screen is dark,
# the two chosen methods in their colours, names with mark-up as text. What looks is a script in a copy of the page: the page itself has none.
defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
browser=$(command -v chromium || command -v chromium-browser) || { echo "no chromium here: the page was not looked at [apt-get install chromium]"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
unset DEFEAT_DEVICE
out=$work/out spec=$work/page.json page=$work/out/page/report.html

die() { echo "FAILED: $*"; cat "$work/log"; exit 1; }
# browse PAGE [OPTION...]: what the page says in its console
browse() {
    shown=$1
    shift
    timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" --enable-logging=stderr \
        --window-size=1100,900 --virtual-time-budget=3000 "$@" "file://$shown" >"$work/dom" 2>"$work/log" || die "$browser cannot show $shown"
    grep CONSOLE "$work/log" | sed 's/.*CONSOLE[^"]*"\(.*\)", source:.*/\1/' >"$work/console"
}
said() { grep -qF -e "$1" "$work/console" || { cat "$work/console"; die "the console has no '$1'"; }; }

# ---- a sweep with a name that a page must not obey, and one from right to left ----

sed -e 's|"name": "tiny"|"name": "page"|' -e 's|"label": "full feature"|"label": "</title><script>console.log(666)</script>\\u202e\\u0634\\u0634"|' \
    -e 's|"seeds": \[0, 1\]|"seeds": [0]|' ablations/specs/tiny.json >"$spec"
"$defeat" sweep "$spec" --out "$out" --jobs 1 >"$work/log" 2>&1 || die "no sweep"
"$defeat" report "$spec" --out "$out" >"$work/log" 2>&1 || die "no report"

# ---- the page as it is ----

browse "$page" --dump-dom
[ -s "$work/console" ] && { cat "$work/console"; die "the console is not empty"; }
grep -q '<script' "$work/dom" && die "there is a script"
browse "$page" --screenshot="$work/light.png"
browse "$page" --screenshot="$work/dark.png" --blink-settings=preferredColorScheme=0
[ "$(wc -c <"$work/light.png")" -gt 20000 ] && [ "$(wc -c <"$work/dark.png")" -gt 20000 ] || die "blank pictures"
cmp -s "$work/light.png" "$work/dark.png" && die "dark is light"

# ---- what a script sees in a copy ----

cat >"$work/look.html" <<'END'
<script>
addEventListener('load', function () {
    var style = function (what) { return getComputedStyle(document.querySelector(what)); };
    var shown = function (what) { return [...document.querySelectorAll(what)].filter(function (e) { return getComputedStyle(e).display != 'none'; }); };
    console.log('fetched ' + performance.getEntriesByType('resource').filter(function (e) { return e.name.indexOf('data:') != 0; }).length);
    console.log('sideways ' + (document.documentElement.scrollWidth > innerWidth) + ' in ' + innerWidth);
    console.log('paper ' + style('body').backgroundColor);
    document.getElementById('a1').click();
    document.getElementById('b3').click();
    console.log('a ' + (style('.m1 .mean').stroke == style('.of-a legend').color) + ', b ' + (style('.m3 .mean').stroke == style('.of-b legend').color) +
                ', other ' + (style('.m2 .mean').stroke == style('.note').color));
    console.log('sentences ' + shown('.pair').length + ' of ' + document.querySelectorAll('.pair').length);
    var picture = shown('.pictures .p');
    console.log('pictures ' + picture.length + ': ' + picture.map(function (e) { return e.classList[2]; }).join(' '));
    document.getElementById('b1').click();
    console.log('twice: ' + shown('.pair').map(function (e) { return e.textContent; }).join('|'));
});
</script>
END
copy() { sed -e '/<\/body>/d' -e '/^<\/html>/d' "$1"; cat "$work/look.html"; echo "$2</body></html>"; }
copy "$page" "" >"$work/copy.html"
browse "$work/copy.html" --dump-dom
said 'fetched 0'
said 'sideways false in 1100'
said 'paper rgb(255, 255, 255)'
said 'a true, b true, other true'
said 'sentences 1 of 31'
said 'pictures 8: p1 p3 p1 p3 p1 p3 p1 p3'
said 'twice: One method is chosen twice.'
browse "$work/copy.html" --dump-dom --blink-settings=preferredColorScheme=0
said 'paper rgb(20, 23, 26)'
said 'a true, b true, other true'
echo '<iframe src="copy.html" style="width:390px;height:800px;border:0"></iframe>' >"$work/phone.html"
browse "$work/phone.html" --dump-dom
said 'sideways false in 390'

# ---- and it would see what is wrong ----

copy "$page" '<div style="width:2000px"><img src="http://127.0.0.1:9/"/></div>' >"$work/wrong.html"
browse "$work/wrong.html" --dump-dom
said 'fetched 1'
said 'sideways true in 1100'
echo "report: a page that needs nothing else, in light, dark and narrow windows"
