using System.ComponentModel;
using System.Runtime.InteropServices;

namespace NeoCommons.EfCore.Testing;

/// <summary>The two system calls that .NET has no method for.</summary>
internal static class Posix
{
    /// <summary>Sends a signal. A process that is gone already is not an error.</summary>
    public static void Signal(int processId, Signal signal)
    {
        const int noSuchProcess = 3;
        if (kill(processId, signal.Number) != 0 && Marshal.GetLastPInvokeError() is var error and not noSuchProcess)
        {
            throw new Win32Exception(error);
        }
    }

    public static void ChangeOwner(string path, ServerUser owner)
    {
        if (chown(path, owner.Uid, owner.Gid) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int kill(int pid, int sig);

    [DllImport("libc", SetLastError = true)]
    private static extern int chown([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint owner, uint group);
}
