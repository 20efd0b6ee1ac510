namespace NeoCommons.EfCore.Admin;

/// <summary>The passwords that cannot be used, and what to do about them.</summary>
internal static class UnusablePasswords
{
    public static void Write(CommandOutput output, IReadOnlyList<UnusablePassword> unusable)
    {
        if (unusable.Count > 0)
        {
            output.Table(["Unusable", "Reason"], [.. unusable.Select(u => new[] { u.Connection, u.Reason })], "");
            output.Line(
                "Add the key that wrote them at the end of the list, or see that their rows are right and store them again: "
                    + "connections set-password."
            );
        }
    }
}
