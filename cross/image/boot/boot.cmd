# Which of the two systems starts, for U-Boot. The Pi's own firmware can start another system once ("tryboot") only when
# the kernel asks it to, and Debian's kernel can't; its "os_prefix" does not come back from a kernel that dies. U-Boot
# does both, and the same script runs in the boot test.
#
# The state is two files that are there or not, so that no half-written file can matter:
#   state/b     system b is the one that starts; without it, system a
#   state/try   the other one starts, once. It is removed first: whatever happens then, the next start is the old one
setenv disk "${devtype} ${devnum}:${distro_bootpart}"
# Debian's kernel is as large as the room that U-Boot leaves on a Pi between its two addresses.
if test "${vendor}" = raspberrypi; then
  setenv kernel_addr_r 0x04000000
  setenv ramdisk_addr_r 0x08000000
fi

setenv slot a
setenv other b
if test -e ${disk} state/b; then
  setenv slot b
  setenv other a
fi
setenv start 'load ${disk} ${kernel_addr_r} ${slot}/kernel && load ${disk} ${ramdisk_addr_r} ${slot}/initrd && setenv bootargs "${options} panic=10 edgepool.slot=${slot} ${trial}" && booti ${kernel_addr_r} ${ramdisk_addr_r}:${filesize} ${fdt_addr}'

# Consoles: the screen, and the serial port of either kind of machine.
if test "${vendor}" = raspberrypi; then
  setenv options "console=ttyS1,115200 console=tty0"
else
  setenv options "console=ttyAMA0 quiet"
fi

if test -e ${disk} state/try; then
  if fatrm ${disk} state/try; then
    setenv default ${slot}
    setenv slot ${other}
    setenv trial edgepool.trial=1
    # Comes back only when this system can't be started at all.
    run start
    setenv slot ${default}
    setenv trial
  fi
fi
run start
echo "edgepool: system ${slot} can't be started; trying the other one"
if test "${slot}" = a; then setenv slot b; else setenv slot a; fi
run start
sleep 30
reset
