#!/bin/sh
# The board's page: what runs, what is wrong, and what to do about it.
. /etc/board/lib
escape() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }

printf 'Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\r\n'
cat <<END
<!doctype html><meta name="viewport" content="width=device-width"><title>$(hostname)</title>
<style>body{font:16px sans-serif;max-width:50em;margin:2em auto;padding:0 1em}pre,textarea{background:#eee;padding:1em;overflow:auto;width:100%;box-sizing:border-box}.bad{border-left:.5em solid #c00;padding-left:1em}</style>
<h1>$(hostname)</h1>
END
if [ -e /run/board/configured ]; then
    echo "<p>The pool is configured. Its page: <a id=pool href=\"http://$(echo "${HTTP_HOST%%:*}" | escape):$(setting rpc | sed 's/.*://')/\">status of the pool</a>.</p>"
else
    echo '<div class=bad><pre>'
    escape </run/board/problem
    cat <<'END'
</pre><h2>How to configure it</h2>
<ol>
<li>Switch the board off, put its card into any computer, and open the drive <b>EDGEPOOL</b>.
<li>Copy <b>edgepool-example.json</b> to <b>edgepool.json</b> there, and put in your node's address and login, and the
address that the pool's part is paid to.
<li>Put the card back and switch the board on. Mistakes are shown on this page.
</ol>
<p>Or send the file over the network. User <b>edgepool</b>; the password is the token on the board's screen.</p>
<pre>curl -u edgepool:TOKEN --data-binary @edgepool.json http://THIS-BOARD/cgi-bin/configure</pre>
<form method=post action="/cgi-bin/configure" enctype="text/plain">
<textarea name=config rows=16>
END
    escape </etc/board/example.json
    echo '</textarea><p><button>Save, and start with it</button></form></div>'
fi
if [ -s /run/board/update-note ]; then
    echo '<div class=bad><pre>'
    escape </run/board/update-note
    echo '</pre></div>'
fi
echo "<h2>This board</h2><p>$(escape </etc/board/version), system $(this_system); up $(cut -d. -f1 /proc/uptime) s; clock $(date -u '+%Y-%m-%d %H:%M') UTC; addresses $(addresses | tr '\n' ' ')</p>"
echo '<h2>Log</h2><pre>'
logread 2>/dev/null | grep -vE ' (kern\.(info|notice|debug) |daemon\.info :)' | tail -n 60 | escape
echo '</pre>'
