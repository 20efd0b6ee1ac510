namespace NeoCommons.EfCore.Testing;

/// <summary>A POSIX signal: its number on this system, and its name without <c>SIG</c>.</summary>
internal sealed record Signal(int Number, string Name)
{
    public static readonly Signal Interrupt = new(2, "INT");
    public static readonly Signal Quit = new(3, "QUIT");
    public static readonly Signal Kill = new(9, "KILL");
    public static readonly Signal Stop = new(OperatingSystem.IsMacOS() ? 17 : 19, "STOP");
    public static readonly Signal Continue = new(OperatingSystem.IsMacOS() ? 19 : 18, "CONT");
}
