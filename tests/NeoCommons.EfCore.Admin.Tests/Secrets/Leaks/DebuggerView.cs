using System.Diagnostics;
using System.Reflection;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>What a debugger shows of an object: its display text, and its members but for those that are hidden from it.</summary>
internal static class DebuggerView
{
    private const BindingFlags Members = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    public static string Of(object? value, int depth = 3)
    {
        if (value is null || depth == 0 || value.GetType().IsPrimitive || value is string)
        {
            return $"{value}";
        }

        var display = value.GetType().GetCustomAttribute<DebuggerDisplayAttribute>()?.Value ?? $"{value}";
        var fields = value.GetType().GetFields(Members).Where(f => !IsHidden(f)).Select(f => f.GetValue(value));
        var properties = value
            .GetType()
            .GetProperties(Members)
            .Where(p => !IsHidden(p) && p.GetIndexParameters().Length == 0 && p.CanRead)
            .Select(p => p.GetValue(value));
        return $"{display} {string.Join(' ', fields.Concat(properties).Select(v => Of(v, depth - 1)))}";
    }

    private static bool IsHidden(MemberInfo member) =>
        member.GetCustomAttribute<DebuggerBrowsableAttribute>()?.State == DebuggerBrowsableState.Never
        || typeof(MemberInfo).IsAssignableFrom((member as PropertyInfo)?.PropertyType);
}
