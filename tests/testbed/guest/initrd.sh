#!/bin/sh
# The first program of a test guest: the drivers of its disk, then what is on it.
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done </modules/order
mount -t ext4 /dev/vda /disk
mount -o move /dev /disk/dev
exec switch_root /disk /sbin/init
