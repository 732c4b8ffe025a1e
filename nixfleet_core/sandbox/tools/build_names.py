"""Names for a believable build, separated by white space."""

from __future__ import annotations

from typing import Final

GO_STANDARD: Final = """
internal/goarch internal/unsafeheader internal/abi internal/cpu internal/bytealg internal/byteorder
internal/chacha8rand internal/coverage/rtcov internal/godebugs internal/goexperiment internal/goos
internal/profilerecord internal/runtime/atomic internal/runtime/exithook internal/runtime/math
internal/runtime/sys internal/stringslite runtime internal/reflectlite errors internal/race
internal/sync sync/atomic internal/asan internal/msan sync io iter cmp slices unicode unicode/utf8
bytes strings bufio math/bits math strconv reflect internal/fmtsort internal/itoa internal/oserror
syscall time path io/fs internal/filepathlite internal/poll internal/syscall/unix os fmt context
container/list crypto/internal/boring/sig encoding encoding/binary encoding/base64 sort
internal/saferio hash crypto crypto/cipher crypto/subtle crypto/aes crypto/des math/rand math/big
crypto/rand crypto/elliptic crypto/ed25519 crypto/ecdsa crypto/hmac crypto/md5 crypto/rc4 crypto/rsa
crypto/sha1 crypto/sha256 crypto/sha512 encoding/asn1 encoding/hex encoding/pem net/netip
vendor/golang.org/x/net/dns/dnsmessage net net/url crypto/x509/pkix crypto/x509 crypto/tls
compress/flate hash/crc32 compress/gzip vendor/golang.org/x/text/transform mime/quotedprintable
vendor/golang.org/x/text/unicode/norm vendor/golang.org/x/net/idna net/textproto mime mime/multipart
vendor/golang.org/x/net/http/httpguts vendor/golang.org/x/net/http2/hpack net/http/httptrace log
net/http/internal net/http encoding/json text/template/parse text/template html html/template
os/signal os/exec os/user path/filepath regexp/syntax regexp runtime/debug flag log/slog
"""

GO_AGENT: Final = """
github.com/gorilla/websocket github.com/rs/zerolog/internal/json github.com/rs/zerolog
github.com/shirou/gopsutil/v4/internal/common github.com/shirou/gopsutil/v4/cpu
github.com/shirou/gopsutil/v4/mem github.com/shirou/gopsutil/v4/disk
github.com/shirou/gopsutil/v4/host github.com/shirou/gopsutil/v4/load golang.org/x/sys/unix
golang.org/x/time/rate example.org/nixfleet/src/protocol example.org/nixfleet/src/state
example.org/nixfleet/src/nix example.org/nixfleet/src/run example.org/nixfleet/src
"""

GO_RESTIC: Final = """
github.com/restic/chunker github.com/restic/chunker/internal/poly github.com/klauspost/compress/fse
github.com/klauspost/compress/huff0 github.com/klauspost/compress/internal/snapref
github.com/klauspost/compress/zstd google.golang.org/protobuf/internal/detrand
google.golang.org/protobuf/internal/flags google.golang.org/protobuf/internal/set
google.golang.org/protobuf/internal/strs google.golang.org/protobuf/internal/impl
cloud.google.com/go/storage cloud.google.com/go/storage/internal
cloud.google.com/go/storage/internal/apiv2 github.com/Azure/azure-sdk-for-go/sdk/azcore
github.com/Azure/azure-sdk-for-go/sdk/azidentity github.com/Azure/azure-sdk-for-go/sdk/internal
github.com/minio/minio-go/v7/pkg/encrypt github.com/minio/minio-go/v7/pkg/lifecycle
github.com/minio/minio-go/v7/pkg/signer github.com/minio/minio-go/v7/pkg/tags
github.com/restic/restic/internal/archiver github.com/restic/restic/internal/backend
github.com/restic/restic/internal/backend/azure github.com/restic/restic/internal/backend/b2
github.com/restic/restic/internal/backend/cache github.com/restic/restic/internal/backend/gs
github.com/restic/restic/internal/backend/layout github.com/restic/restic/internal/backend/limiter
github.com/restic/restic/internal/backend/local github.com/restic/restic/internal/backend/location
github.com/restic/restic/internal/backend/logger github.com/restic/restic/internal/backend/mem
github.com/restic/restic/internal/backend/rclone github.com/restic/restic/internal/backend/rest
github.com/restic/restic/internal/backend/retry github.com/restic/restic/internal/backend/s3
github.com/restic/restic/internal/backend/sema github.com/restic/restic/internal/backend/sftp
github.com/restic/restic/internal/backend/swift github.com/restic/restic/internal/backend/util
github.com/restic/restic/internal/bloblru github.com/restic/restic/internal/checker
github.com/restic/restic/internal/crypto github.com/restic/restic/internal/debug
github.com/restic/restic/internal/dump github.com/restic/restic/internal/errors
github.com/restic/restic/internal/feature github.com/restic/restic/internal/filter
github.com/restic/restic/internal/fs github.com/restic/restic/internal/fuse
github.com/restic/restic/internal/global github.com/restic/restic/internal/hashing
github.com/restic/restic/internal/index github.com/restic/restic/internal/migrations
github.com/restic/restic/internal/options github.com/restic/restic/internal/pack
github.com/restic/restic/internal/repository github.com/restic/restic/internal/restic
github.com/restic/restic/internal/restorer github.com/restic/restic/internal/rewriter
github.com/restic/restic/internal/selfupdate github.com/restic/restic/internal/terminal
github.com/restic/restic/internal/textfile github.com/restic/restic/internal/ui
github.com/restic/restic/internal/ui/backup github.com/restic/restic/internal/ui/progress
github.com/restic/restic/internal/ui/restore github.com/restic/restic/internal/ui/table
github.com/restic/restic/internal/ui/termstatus github.com/restic/restic/internal/walker
github.com/restic/restic/cmd/restic
"""

GO_RCLONE: Final = """
github.com/rclone/rclone/lib/atexit github.com/rclone/rclone/lib/bucket
github.com/rclone/rclone/lib/cache github.com/rclone/rclone/lib/daemonize
github.com/rclone/rclone/lib/dircache github.com/rclone/rclone/lib/encoder
github.com/rclone/rclone/lib/env github.com/rclone/rclone/lib/errors
github.com/rclone/rclone/lib/file github.com/rclone/rclone/lib/http
github.com/rclone/rclone/lib/jwtutil github.com/rclone/rclone/lib/kv
github.com/rclone/rclone/lib/multipart github.com/rclone/rclone/lib/oauthutil
github.com/rclone/rclone/lib/pacer github.com/rclone/rclone/lib/pool
github.com/rclone/rclone/lib/proxy github.com/rclone/rclone/lib/random
github.com/rclone/rclone/lib/ranges github.com/rclone/rclone/lib/readers
github.com/rclone/rclone/lib/rest github.com/rclone/rclone/lib/structs
github.com/rclone/rclone/lib/terminal github.com/rclone/rclone/lib/version
github.com/rclone/rclone/fs github.com/rclone/rclone/fs/accounting
github.com/rclone/rclone/fs/asyncreader github.com/rclone/rclone/fs/cache
github.com/rclone/rclone/fs/chunkedreader github.com/rclone/rclone/fs/config
github.com/rclone/rclone/fs/config/configfile github.com/rclone/rclone/fs/config/configflags
github.com/rclone/rclone/fs/config/configmap github.com/rclone/rclone/fs/config/configstruct
github.com/rclone/rclone/fs/config/flags github.com/rclone/rclone/fs/config/obscure
github.com/rclone/rclone/fs/dirtree github.com/rclone/rclone/fs/driveletter
github.com/rclone/rclone/fs/filter github.com/rclone/rclone/fs/fserrors
github.com/rclone/rclone/fs/fshttp github.com/rclone/rclone/fs/fspath
github.com/rclone/rclone/fs/hash github.com/rclone/rclone/fs/list github.com/rclone/rclone/fs/log
github.com/rclone/rclone/fs/march github.com/rclone/rclone/fs/object
github.com/rclone/rclone/fs/operations github.com/rclone/rclone/fs/rc
github.com/rclone/rclone/fs/rc/jobs github.com/rclone/rclone/fs/rc/rcserver
github.com/rclone/rclone/fs/sync github.com/rclone/rclone/fs/walk
github.com/rclone/rclone/backend/alias github.com/rclone/rclone/backend/azureblob
github.com/rclone/rclone/backend/azurefiles github.com/rclone/rclone/backend/b2
github.com/rclone/rclone/backend/box github.com/rclone/rclone/backend/cache
github.com/rclone/rclone/backend/chunker github.com/rclone/rclone/backend/combine
github.com/rclone/rclone/backend/compress github.com/rclone/rclone/backend/crypt
github.com/rclone/rclone/backend/drive github.com/rclone/rclone/backend/dropbox
github.com/rclone/rclone/backend/fichier github.com/rclone/rclone/backend/filefabric
github.com/rclone/rclone/backend/ftp github.com/rclone/rclone/backend/gofile
github.com/rclone/rclone/backend/googlecloudstorage github.com/rclone/rclone/backend/googlephotos
github.com/rclone/rclone/backend/hasher github.com/rclone/rclone/backend/hdfs
github.com/rclone/rclone/backend/hidrive github.com/rclone/rclone/backend/http
github.com/rclone/rclone/backend/imagekit github.com/rclone/rclone/backend/internetarchive
github.com/rclone/rclone/backend/jottacloud github.com/rclone/rclone/backend/koofr
github.com/rclone/rclone/backend/linkbox github.com/rclone/rclone/backend/local
github.com/rclone/rclone/backend/mailru github.com/rclone/rclone/backend/mega
github.com/rclone/rclone/backend/memory github.com/rclone/rclone/backend/netstorage
github.com/rclone/rclone/backend/onedrive github.com/rclone/rclone/backend/opendrive
github.com/rclone/rclone/backend/oracleobjectstorage github.com/rclone/rclone/backend/pcloud
github.com/rclone/rclone/backend/pikpak github.com/rclone/rclone/backend/protondrive
github.com/rclone/rclone/backend/putio github.com/rclone/rclone/backend/qingstor
github.com/rclone/rclone/backend/quatrix github.com/rclone/rclone/backend/s3
github.com/rclone/rclone/backend/seafile github.com/rclone/rclone/backend/sftp
github.com/rclone/rclone/backend/sharefile github.com/rclone/rclone/backend/smb
github.com/rclone/rclone/backend/storj github.com/rclone/rclone/backend/sugarsync
github.com/rclone/rclone/backend/swift github.com/rclone/rclone/backend/ulozto
github.com/rclone/rclone/backend/union github.com/rclone/rclone/backend/uptobox
github.com/rclone/rclone/backend/webdav github.com/rclone/rclone/backend/yandex
github.com/rclone/rclone/backend/zoho github.com/rclone/rclone/cmd
github.com/rclone/rclone/cmd/about github.com/rclone/rclone/cmd/authorize
github.com/rclone/rclone/cmd/backend github.com/rclone/rclone/cmd/bisync
github.com/rclone/rclone/cmd/cachestats github.com/rclone/rclone/cmd/cat
github.com/rclone/rclone/cmd/check github.com/rclone/rclone/cmd/checksum
github.com/rclone/rclone/cmd/cleanup github.com/rclone/rclone/cmd/config
github.com/rclone/rclone/cmd/copy github.com/rclone/rclone/cmd/copyto
github.com/rclone/rclone/cmd/copyurl github.com/rclone/rclone/cmd/cryptcheck
github.com/rclone/rclone/cmd/dedupe github.com/rclone/rclone/cmd/delete
github.com/rclone/rclone/cmd/genautocomplete github.com/rclone/rclone/cmd/hashsum
github.com/rclone/rclone/cmd/link github.com/rclone/rclone/cmd/listremotes
github.com/rclone/rclone/cmd/ls github.com/rclone/rclone/cmd/lsd github.com/rclone/rclone/cmd/lsf
github.com/rclone/rclone/cmd/lsjson github.com/rclone/rclone/cmd/mkdir
github.com/rclone/rclone/cmd/mount2 github.com/rclone/rclone/cmd/move
github.com/rclone/rclone/cmd/ncdu github.com/rclone/rclone/cmd/obscure
github.com/rclone/rclone/cmd/purge github.com/rclone/rclone/cmd/rc github.com/rclone/rclone/cmd/rcat
github.com/rclone/rclone/cmd/rmdir github.com/rclone/rclone/cmd/selfupdate
github.com/rclone/rclone/cmd/serve github.com/rclone/rclone/cmd/sync
github.com/rclone/rclone/cmd/touch github.com/rclone/rclone/cmd/tree
github.com/rclone/rclone/cmd/version
"""

C_GIT: Final = """
add am annotate apply archive backfill bisect blame branch bugreport bundle cat-file check-attr
check-ignore check-mailmap check-ref-format checkout--worker checkout-index checkout clean clone
column commit-graph commit-tree commit config count-objects credential-cache credential-store
credential describe diagnose diff-files diff-index diff-pairs diff-tree diff difftool fast-export
fast-import fetch-pack fetch fmt-merge-msg for-each-ref for-each-repo fsck fsmonitor--daemon gc
get-tar-commit-id grep hash-object help hook index-pack init-db interpret-trailers log ls-files
ls-remote ls-tree mailinfo mailsplit merge-base merge-file merge-index merge-ours merge-recursive
merge-tree merge mktag mktree multi-pack-index mv name-rev notes pack-objects pack-redundant
pack-refs patch-id prune-packed prune pull push range-diff read-tree rebase receive-pack reflog refs
remote-ext remote-fd remote repack replace replay rerere reset rev-list rev-parse revert rm
send-pack shortlog show-branch show-index show-ref sparse-checkout stash stripspace
submodule--helper symbolic-ref tag unpack-file unpack-objects update-index update-ref
update-server-info upload-archive upload-pack var verify-commit verify-pack verify-tag worktree
write-tree
"""

C_GIT_LIBRARY: Final = """
abspath add-interactive add-patch advice alias alloc apply archive-tar archive-zip archive attr
base85 bisect blame blob bloom branch bulk-checkin bundle-uri bundle cache-tree cbtree chdir-notify
checkout chunk-format color column combine-diff commit-graph commit-reach commit
compat/linux/procinfo config connect connected convert copy credential csum-file ctype date decorate
delta-islands diagnose diff-delta diff-lib diff-merges diff-no-index diff diffcore-break
diffcore-delta diffcore-order diffcore-pickaxe diffcore-rename dir-iterator dir editor entry
environment ewah/bitmap ewah/ewah_bitmap exec-cmd fetch-negotiator fetch-pack fmt-merge-msg fsck
fsmonitor gettext git-zlib gpg-interface graph grep hash-lookup hashmap help hex hook ident
json-writer kwset levenshtein line-log line-range linear-assignment list-objects-filter list-objects
lockfile log-tree ls-refs mailinfo mailmap match-trees mem-pool merge-ll merge-ort merge midx-write
midx name-hash negotiator/default notes-cache notes-merge notes-utils notes object-file object-name
object oid-array oidmap oidset oidtree pack-bitmap-write pack-bitmap pack-check pack-mtimes
pack-objects pack-revindex pack-write packfile pager parallel-checkout parse-options patch-delta
patch-ids path pathspec pkt-line preload-index pretty prio-queue progress promisor-remote prompt
protocol prune-packed pseudo-merge quote range-diff reachable read-cache rebase-interactive rebase
ref-filter reflog refs/debug refs/files-backend refs/packed-backend refs/ref-cache
refs/reftable-backend refs refspec reftable/basics reftable/block reftable/merged reftable/reader
reftable/stack reftable/writer remote replace-object repo-settings repository rerere reset
resolve-undo revision run-command send-pack sequencer serve server-info setup shallow sideband
sigchain split-index statinfo strbuf streaming string-list strmap strvec sub-process submodule
symlinks tag tempfile thread-utils tmp-objdir trace trace2 trailer transport tree-diff tree-walk
tree unpack-trees upload-pack url urlmatch usage userdiff utf8 varint versioncmp walker wildmatch
worktree wrapper write-or-die ws wt-status xdiff-interface xdiff/xdiffi xdiff/xemit xdiff/xhistogram
xdiff/xmerge xdiff/xpatience xdiff/xprepare xdiff/xutils
"""

CRATES: Final = """
proc-macro2 unicode-ident quote syn libc cfg-if autocfg once_cell version_check memchr serde_core
serde serde_derive itoa pin-project-lite bytes futures-core scopeguard smallvec log typenum
generic-array cc shlex lock_api parking_lot_core parking_lot futures-sink futures-channel slab
futures-task futures-io futures-macro futures-util tracing-core tracing-attributes tracing mio
socket2 signal-hook-registry tokio-macros tokio stable_deref_trait zerofrom yoke zerovec tinystr
writeable litemap icu_locale_core icu_provider icu_normalizer icu_properties idna percent-encoding
url form_urlencoded subtle zeroize rand_core getrandom ppv-lite86 rand_chacha rand crypto-common
block-buffer digest sha2 hmac base64 openssl-src openssl-sys openssl-macros openssl foreign-types
native-tls http http-body httparse httpdate want try-lock tower-service tower-layer h2 hyper
hyper-util hyper-tls reqwest aho-corasick regex-syntax regex-automata regex either itertools
equivalent hashbrown indexmap toml_datetime toml_edit figment uncased pear yansi atomic ubyte state
multer mime encoding_rs rocket_http rocket_codegen rocket rocket_ws tokio-util tokio-stream
tungstenite tokio-tungstenite deadpool num-traits num-integer num-bigint time-core time chrono
chrono-tz phf phf_shared uuid diesel_derives diesel diesel_migrations libsqlite3-sys mysqlclient-sys
pq-sys r2d2 dashmap governor quanta nonzero_ext handlebars pest pest_derive lettre email-encoding
hickory-proto hickory-resolver webauthn-rs-core webauthn-rs yubico totp-lite data-encoding
jsonwebtoken argon2 blake2 password-hash rmp rmpv cookie cookie_store publicsuffix html5gum cached
job_scheduler_ng syslog fern dotenvy opendal backon grass grass_compiler vaultwarden
"""

C_NGINX: Final = """
core/nginx core/ngx_log core/ngx_palloc core/ngx_array core/ngx_list core/ngx_hash core/ngx_buf
core/ngx_queue core/ngx_output_chain core/ngx_string core/ngx_parse core/ngx_parse_time
core/ngx_inet core/ngx_file core/ngx_crc32 core/ngx_murmurhash core/ngx_md5 core/ngx_sha1
core/ngx_rbtree core/ngx_radix_tree core/ngx_slab core/ngx_times core/ngx_shmtx core/ngx_connection
core/ngx_cycle core/ngx_spinlock core/ngx_rwlock core/ngx_cpuinfo core/ngx_conf_file core/ngx_module
core/ngx_resolver core/ngx_open_file_cache core/ngx_crypt core/ngx_proxy_protocol core/ngx_syslog
event/ngx_event event/ngx_event_timer event/ngx_event_posted event/ngx_event_accept
event/ngx_event_udp event/ngx_event_connect event/ngx_event_pipe os/unix/ngx_time os/unix/ngx_errno
os/unix/ngx_alloc os/unix/ngx_files os/unix/ngx_socket os/unix/ngx_recv os/unix/ngx_readv_chain
os/unix/ngx_udp_recv os/unix/ngx_send os/unix/ngx_writev_chain os/unix/ngx_channel os/unix/ngx_shmem
os/unix/ngx_process os/unix/ngx_daemon os/unix/ngx_setaffinity os/unix/ngx_setproctitle
os/unix/ngx_posix_init os/unix/ngx_user os/unix/ngx_dlopen os/unix/ngx_process_cycle
os/unix/ngx_linux_init event/modules/ngx_epoll_module event/ngx_event_openssl
event/ngx_event_openssl_stapling core/ngx_regex http/ngx_http http/ngx_http_core_module
http/ngx_http_special_response http/ngx_http_request http/ngx_http_parse
http/modules/ngx_http_log_module http/ngx_http_request_body http/ngx_http_variables
http/ngx_http_script http/ngx_http_upstream http/ngx_http_upstream_round_robin
http/ngx_http_file_cache http/ngx_http_write_filter_module http/ngx_http_header_filter_module
http/modules/ngx_http_chunked_filter_module http/v2/ngx_http_v2 http/v2/ngx_http_v2_table
http/v2/ngx_http_v2_encode http/v2/ngx_http_v2_module http/v3/ngx_http_v3
http/modules/ngx_http_gzip_filter_module http/modules/ngx_http_ssi_filter_module
http/modules/ngx_http_charset_filter_module http/modules/ngx_http_static_module
http/modules/ngx_http_autoindex_module http/modules/ngx_http_index_module
http/modules/ngx_http_auth_basic_module http/modules/ngx_http_access_module
http/modules/ngx_http_limit_conn_module http/modules/ngx_http_limit_req_module
http/modules/ngx_http_realip_module http/modules/ngx_http_geo_module
http/modules/ngx_http_map_module http/modules/ngx_http_split_clients_module
http/modules/ngx_http_referer_module http/modules/ngx_http_rewrite_module
http/modules/ngx_http_ssl_module http/modules/ngx_http_proxy_module
http/modules/ngx_http_fastcgi_module http/modules/ngx_http_uwsgi_module
http/modules/ngx_http_browser_module http/modules/ngx_http_upstream_hash_module
http/modules/ngx_http_upstream_keepalive_module stream/ngx_stream stream/ngx_stream_core_module
stream/ngx_stream_proxy_module stream/ngx_stream_handler stream/ngx_stream_upstream
"""

C_TMUX: Final = """
alerts arguments attributes cfg client cmd-attach-session cmd-bind-key cmd-break-pane
cmd-capture-pane cmd-choose-tree cmd-command-prompt cmd-confirm-before cmd-copy-mode
cmd-detach-client cmd-display-menu cmd-display-message cmd-display-panes cmd-find cmd-find-window
cmd-if-shell cmd-join-pane cmd-kill-pane cmd-kill-server cmd-kill-session cmd-kill-window
cmd-list-buffers cmd-list-clients cmd-list-keys cmd-list-panes cmd-list-sessions cmd-list-windows
cmd-load-buffer cmd-lock-server cmd-move-window cmd-new-session cmd-new-window cmd-parse
cmd-paste-buffer cmd-pipe-pane cmd-queue cmd-refresh-client cmd-rename-session cmd-resize-pane
cmd-respawn-pane cmd-rotate-window cmd-run-shell cmd-save-buffer cmd-select-layout cmd-select-pane
cmd-send-keys cmd-server-access cmd-set-buffer cmd-set-option cmd-show-messages cmd-source-file
cmd-split-window cmd-swap-pane cmd-switch-client cmd-unbind-key cmd-wait-for cmd colour control
control-notify environ file format format-draw grid grid-reader grid-view hyperlinks image input
input-keys job key-bindings key-string layout layout-custom layout-set log menu mode-tree names
notify options options-table paste popup proc regsub resize screen screen-redraw screen-write server
server-acl server-client server-fn session spawn status style tmux tty tty-acs tty-features tty-keys
tty-term utf8 utf8-combined window window-buffer window-client window-copy window-tree
"""

CHECKED: Final = """
stdio.h stdlib.h string.h inttypes.h stdint.h strings.h sys/stat.h sys/types.h unistd.h dirent.h
fcntl.h libutil.h ncurses.h pty.h pwd.h signal.h sys/dir.h sys/event.h sys/epoll.h sys/ioctl.h
sys/mman.h sys/prctl.h sys/socket.h sys/statfs.h sys/time.h sys/uio.h sys/wait.h termios.h time.h
utmp.h wchar.h zlib.h asprintf cfmakeraw clock_gettime closefrom explicit_bzero fgetln freezero
getdtablecount getline getopt getpeereid getprogname memmem prctl proc_pidinfo reallocarray
recallocarray setenv setproctitle strcasestr strlcat strlcpy strndup strnlen strsep strtonum sysconf
"""

GLUE: Final = """
unit-restic-backups-srv.service unit-restic-backups-srv.timer unit-nginx.service
unit-vaultwarden.service unit-systemd-journald.service unit-systemd-tmpfiles-resetup.service
unit-systemd-fsck-.service unit-sysinit-reactivation.target unit-nix-daemon.service
X-Restart-Triggers-systemd-journald restic-backups-srv-pre-start nginx.conf nginx-validate-config
journald.conf tmpfiles.d set-environment system-path-pkgs-list man-paths dbus-1 firewall-start
X-Restart-Triggers-nginx etc-profile firewall-stop firewall-reload pam-environment polkit-rules
users-groups.json local-cmds system-path etc-systemd-system.conf user-units system-units
etc-os-release etc activate boot.json perl-5.40.2-env
"""
"""Configuration files and units: built in a moment, mostly silently."""

FETCHED: Final = (
    ("go-1.25.1", 78_643_200),
    ("fuse-3.17.4", 318_464),
    ("pcre2-10.46", 1_204_224),
    ("zlib-ng-2.2.5", 212_992),
    ("libevent-2.1.12", 1_007_616),
    ("ncurses-6.5-dev", 1_744_896),
    ("geoip-1.6.12", 286_720),
    ("vaultwarden-webvault-2025.8.0.0", 31_506_432),
)
"""Paths that the binary cache has, with their sizes in bytes."""
